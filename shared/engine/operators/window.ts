/**
 * Cuts the stream into windows of event time and sums each one up, per key.
 *
 * A window fires once when the watermark says that it is complete; with `allowedLateness` it stays
 * for that much longer, and every late record inside that bound sends it out again with a higher
 * revision. What comes later still goes to the `late` output, once. Windows that may be revised
 * are not taken as the input of another window: their records would be counted once per revision.
 */
import { z } from 'zod';
import type { ValueType } from '../../expressions/expression.ts';
import { Aggregation } from '../aggregates/aggregation.ts';
import { compileAggregation } from '../aggregates/compile-aggregation.ts';
import { compileBy } from '../by-field.ts';
import { noKey } from '../key.ts';
import { WINDOW_STATE_VERSION, type WindowPlan } from '../windows/keyed-windows.ts';
import { PaneWindows } from '../windows/pane-windows.ts';
import { SessionWindows } from '../windows/session-windows.ts';
import { gridOf, windowField, type WindowConfig } from '../windows/window-config.ts';
import { type CompileContext, defineOperator, type OperatorInstance } from './operator.ts';
import type { OperatorRuntime } from './operator.ts';

export const COLUMN = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** Names that expressions after an aggregation already have. */
const RESERVED = new Set(['key', 'windowStart', 'windowEnd', 'time', 'params', '__proto__']);

export const window = defineOperator({
  name: 'window',
  summary: 'Sums up records by windows of event time and by key.',
  guarantees: [
    'Windows are `[start, end)` and fire when the watermark reaches end − 1 (sessions: end).',
    'Windows fire in the order of end, start, key; the event time of a result is end − 1.',
    'A record counts in all of its windows that are not past their lateness.',
    'When all of them are, it goes once to the `late` output and is counted.',
    'A session whose borders change after it fired is taken back by a retraction (value null).',
    'Keys beyond 100,000 per step and windows beyond 1,000 per key are dropped and counted.',
  ],
  shape: {
    window: windowField.describe('Which windows: one of tumbling, hopping, session.'),
    aggregate: z
      .record(z.string().regex(COLUMN, 'a column is named by letters, digits and _'), z.string())
      .refine((columns) => Object.keys(columns).length > 0, 'needs at least one column')
      .describe('Columns of the result and what they are. Example: `{ rms: "avg(payload.rms)" }`.'),
  },
  examples: [
    {
      title: 'Mean and count per machine and ten seconds',
      step: [
        'window: { tumbling: 10s, by: "payload.machine" }',
        'aggregate: { rms: "avg(payload.rms)", n: "count()" }',
      ].join('\n'),
      input: [
        { time: 1000, payload: { machine: 'm1', rms: 2 } },
        { time: 9999, payload: { machine: 'm1', rms: 4 } },
        { time: 10_000, payload: { machine: 'm1', rms: 8 } },
      ],
      output: [
        {
          output: 'window',
          key: 'm1',
          windowStart: 0,
          windowEnd: 10_000,
          time: 9999,
          revision: 1,
          value: { rms: 3, n: 2 },
        },
        {
          output: 'window',
          key: 'm1',
          windowStart: 10_000,
          windowEnd: 20_000,
          time: 19_999,
          revision: 1,
          value: { rms: 8, n: 1 },
        },
      ],
    },
    {
      title: 'A late record inside of the allowed lateness revises its window',
      step: ['window: { tumbling: 10s, allowedLateness: 5s }', 'aggregate: { n: "count()" }'].join(
        '\n',
      ),
      input: [
        { time: 1000, payload: {} },
        { time: 12_000, payload: {} },
        { time: 3000, payload: {} },
      ],
      output: [
        { windowStart: 0, revision: 1, value: { n: 1 } },
        { windowStart: 0, revision: 2, value: { n: 2 } },
        { windowStart: 10_000, revision: 1, value: { n: 1 } },
      ],
    },
    {
      title: 'Sessions end after a minute of silence',
      step: 'window: { session: { gap: 1m }, by: "payload.user" }\naggregate: { n: "count()" }',
      input: [
        { time: 0, payload: { user: 'ann' } },
        { time: 60_000, payload: { user: 'ann' } },
        { time: 120_001, payload: { user: 'ann' } },
      ],
      output: [
        { key: 'ann', windowStart: 0, windowEnd: 120_000, value: { n: 2 } },
        { key: 'ann', windowStart: 120_001, windowEnd: 180_001, value: { n: 1 } },
      ],
    },
    {
      title: 'The last minute, every twenty seconds',
      step: 'window: { hopping: { size: 1m, every: 20s } }\naggregate: { peak: "max(payload.v)" }',
      input: [
        { time: 45_000, payload: { v: 3 } },
        { time: 70_000, payload: { v: 5 } },
      ],
      output: [
        { windowStart: 0, windowEnd: 60_000, value: { peak: 3 } },
        { windowStart: 20_000, windowEnd: 80_000, value: { peak: 5 } },
        { windowStart: 40_000, windowEnd: 100_000, value: { peak: 5 } },
        { windowStart: 60_000, windowEnd: 120_000, value: { peak: 5 } },
      ],
    },
  ],
  compile(step, context) {
    refuseRevisedInput(context);
    for (const name of Object.keys(step.aggregate)) {
      if (RESERVED.has(name)) {
        context.issue(['aggregate', name], `"${name}" has a meaning of its own`, 'Rename it.');
      }
    }
    const config = step.window;
    const plan = compileAggregation(step.aggregate, context);
    const keys = config.by === undefined ? noKey : compileBy(config.by, ['window', 'by'], context);
    const columns: [string, ValueType][] = plan.columns.map(({ name, type }) => [name, type]);
    return {
      output: { kind: 'row', columns: Object.fromEntries(columns) },
      revises: config.allowedLateness > 0,
      stateVersion: WINDOW_STATE_VERSION,
      stateFingerprint: JSON.stringify([
        config.tumbling ?? config.hopping ?? config.session,
        config.by ?? null,
        Object.entries(step.aggregate),
      ]),
      create: (runtime) =>
        createWindows(config, runtime, {
          keys,
          aggregation: new Aggregation(plan),
          allowedLatenessMs: config.allowedLateness,
        }),
    };
  },
});

function createWindows(
  config: WindowConfig,
  runtime: OperatorRuntime,
  plan: WindowPlan,
): OperatorInstance {
  const grid = gridOf(config);
  if (grid !== undefined) return new PaneWindows(grid, plan, runtime);
  const { gap, max } = config.session ?? { gap: 0 };
  return new SessionWindows(gap, max ?? Infinity, plan, runtime);
}

function refuseRevisedInput(context: CompileContext): void {
  if (context.inputRevises) {
    context.issue(
      ['window'],
      'takes windows that can be revised, whose records would count once per revision',
      'Remove allowedLateness from the window before it.',
    );
  }
  if (context.inputPerKey && context.input.kind === 'row') {
    context.issue(
      ['window'],
      'follows a window, which watermarkPer: key does not allow',
      'Use watermarkPer: source or topic.',
    );
  }
}
