/**
 * The groups of some periods while their rows are read: each has a tally of all aggregates.
 */
import type { CompiledRollup } from '@runnel/shared/definitions/compile-rollup.ts';
import { Aggregation } from '@runnel/shared/engine/aggregates/aggregation.ts';
import type { Tally } from '@runnel/shared/engine/aggregates/aggregate.ts';
import { compareKeyTexts, keyText } from '@runnel/shared/engine/key.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DeadRows } from '../data/dead-rows.ts';
import { rowRecord } from '../data/timed-rows.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { partialOf, tallyOf } from './partials.ts';
import type { Period } from './periods.ts';

interface Group {
  readonly values: readonly Json[];
  readonly tally: Tally;
}

export class PeriodGroups {
  readonly #rollup: CompiledRollup;
  readonly #aggregation: Aggregation;
  readonly #dead: DeadRows;
  readonly #periods = new Map<number, Map<string, Group>>();
  #groups = 0;

  constructor(rollup: CompiledRollup, dead: DeadRows) {
    this.#rollup = rollup;
    this.#aggregation = new Aggregation(rollup.plan);
    this.#dead = dead;
  }

  /** A row that an aggregate cannot take is dead. */
  add(row: Row, timeMs: number, startMs: number): void {
    try {
      this.#aggregation.evaluate(rowRecord(row, timeMs));
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.#dead.add(error.reason, error.message, row);
      return;
    }
    this.#aggregation.add(this.#group(row, startMs).tally, timeMs);
  }

  /** A row of a finer rollup. Rows must come in the order of their periods. */
  merge(row: Row, startMs: number): void {
    const partial = tallyOf(this.#rollup.plan, row['_partial']);
    this.#aggregation.merge(this.#group(row, startMs).tally, partial);
  }

  /** Starts of periods that have rows, oldest first. */
  starts(): number[] {
    return [...this.#periods.keys()].toSorted((left, right) => left - right);
  }

  /** One row a group, in the order of keys. */
  *rows({ startMs, endMs }: Period): Generator<Row> {
    const groups = [...(this.#periods.get(startMs) ?? [])];
    groups.sort(([left], [right]) => compareKeyTexts(left, right));
    for (const [, { values, tally }] of groups) {
      const row: Record<string, Json> = { _time: startMs, _end: endMs };
      for (const [index, column] of this.#rollup.by.entries()) row[column] = values[index]!;
      Object.assign(row, this.#aggregation.row(tally, null, startMs, endMs));
      row['_partial'] = partialOf(this.#rollup.plan, tally);
      yield row;
    }
  }

  #group(row: Row, startMs: number): Group {
    let groups = this.#periods.get(startMs);
    if (groups === undefined) this.#periods.set(startMs, (groups = new Map<string, Group>()));
    const values = this.#rollup.by.map((column) =>
      Object.hasOwn(row, column) ? row[column]! : null,
    );
    const key = keyText(values);
    let group = groups.get(key);
    if (group === undefined) {
      this.#groups += 1;
      if (this.#groups > limits.rollupGroupsMax) throw tooMany();
      group = { values, tally: { n: [], c: [] } };
      this.#aggregation.open(group.tally);
      groups.set(key, group);
    }
    return group;
  }
}

function tooMany(): TaskError {
  const message = `the rows make more than ${limits.rollupGroupsMax} groups at once`;
  return new TaskError('resources', 'rollup_groups', message, {
    hint: 'Group by fewer columns, or make the partition of the job shorter.',
  });
}
