/**
 * Keeps the records for which a condition is true.
 *
 * A retraction passes. A revision of a window that does not meet the condition passes as a
 * retraction, because the revision before it may have met it and would otherwise stand for ever.
 *
 * A condition must give true or false: a missing key, null, or anything that is not a boolean sends
 * the record to the dead letters instead of dropping it quietly, because a misspelt field would
 * otherwise look like a quiet line. It keeps no state and changes no record.
 */
import { z } from 'zod';
import { ExpressionError, type Expression } from '../../expressions/expression.ts';
import { type EngineRecord, isRetraction } from '../record.ts';
import { defineOperator, type OperatorInstance, type OperatorRuntime } from './operator.ts';

export const filter = defineOperator({
  name: 'filter',
  summary: 'Keeps the records for which a condition is true.',
  guarantees: [
    'A record passes unchanged or not at all; order is kept.',
    'A revision of a window that no longer meets the condition becomes a retraction.',
    'A condition that fails or gives no boolean sends the record to the dead letters.',
  ],
  shape: {
    filter: z
      .string()
      .describe('Condition (CEL) that a record must meet. Example: `payload.status == "ok"`.'),
  },
  examples: [
    {
      title: 'Only healthy readings',
      step: `filter: "payload.status == 'ok'"`,
      input: [
        { time: 0, payload: { status: 'ok', value: 1 } },
        { time: 1, payload: { status: 'error', value: 2 } },
      ],
      output: [{ output: 'filter', time: 0, value: { status: 'ok', value: 1 } }],
    },
  ],
  compile(step, context) {
    const condition = context.expression(step.filter, ['filter'], { expects: 'bool' });
    return {
      output: context.input,
      stateFingerprint: '',
      stateVersion: 0,
      create: (runtime) => new Filter(condition, runtime),
    };
  },
});

class Filter implements OperatorInstance {
  private readonly condition: Expression;
  private readonly runtime: OperatorRuntime;

  constructor(condition: Expression, runtime: OperatorRuntime) {
    this.condition = condition;
    this.runtime = runtime;
  }

  process(record: EngineRecord): void {
    if (isRetraction(record)) {
      this.runtime.emit(record);
      return;
    }
    const kept = this.condition.evaluate(record);
    if (kept === true) this.runtime.emit(record);
    else if (kept === false) {
      if (record.revision > 1) this.runtime.emit({ ...record, payload: null });
    } else {
      const found = kept === null ? 'null' : `a ${typeof kept}`;
      throw new ExpressionError(
        kept === null ? 'null_value' : 'wrong_type',
        `filter ${this.condition.source} gave ${found}, not true or false`,
      );
    }
  }
}
