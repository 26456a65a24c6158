/**
 * Raises an alert per key when a condition holds, and resolves it when it no longer does.
 *
 * A key is quiet, pending (the condition holds, but not for long enough yet) or firing; it is told
 * about once when it begins to fire and once when it resolves, never in between. The hold time
 * `for` counts event time: it is over when a record of the key that still meets the condition, or
 * the watermark, is that far after the first one. While firing, `clear` decides (hysteresis), or
 * without it the end of `when`. Absence counts `now`, since nothing arrives that could carry a
 * time. While a key is pending or firing, a record older than its last one changes nothing.
 * A quiet key keeps no state, unless its absence is watched.
 */
import { z } from 'zod';
import type { Expression, Shape } from '../../expressions/expression.ts';
import { type AlertPlan, Alerts } from '../alerts.ts';
import { byField, compileBy } from '../by-field.ts';
import { duration, positiveDuration } from '../../definitions/duration.ts';
import { strict } from '../../definitions/strict.ts';
import { keyOfRecord } from '../key.ts';
import { type CompileContext, defineOperator } from './operator.ts';

export const SEVERITIES = ['info', 'warning', 'critical'] as const;

const alertField = strict({
  when: z.string().optional().describe('Condition that raises it. Example: `p95 > params.limit`.'),
  clear: z
    .string()
    .optional()
    .describe('Condition that resolves it. Default: `when` is no longer met.'),
  for: duration
    .prefault('0s')
    .describe('How long the condition must hold, in event time. Default `0s`.'),
  absence: positiveDuration
    .optional()
    .describe('Raises it when a key that was seen sends nothing for this long. Example: `5m`.'),
  by: byField.optional().describe('Key. Default: the key of the step before, if it has one.'),
  severity: z.enum(SEVERITIES).default('warning').describe('Default `warning`.'),
}).superRefine((alert, context) => {
  if (alert.when === undefined && alert.absence === undefined) {
    context.addIssue('needs when, absence or both');
  }
  for (const field of ['clear', 'for'] as const) {
    const given = field === 'for' ? alert.for > 0 : alert.clear !== undefined;
    if (!given || alert.when !== undefined) continue;
    context.addIssue({ code: 'custom', path: [field], message: 'needs when' });
  }
});

type AlertConfig = z.output<typeof alertField>;

export const alert = defineOperator({
  name: 'alert',
  summary: 'Raises and resolves alerts per key: threshold with hysteresis and hold time, absence.',
  guarantees: [
    'The value is `{ status: firing | resolved, severity, …fields of the record }`.',
    'About absence it has `absent: true` and the fields of the last record.',
    'One output when a key begins to fire and one when it resolves; none in between.',
    'Hold times count event time, absence counts the time of arrival.',
    'Keys beyond 100,000 are dropped and counted.',
  ],
  shape: { alert: alertField.describe('When to raise and when to resolve.') },
  examples: [
    {
      title: 'Above the limit for twenty seconds, until it is well below',
      step: 'alert: { when: "payload.v > 10", clear: "payload.v < 8", for: 20s, by: "payload.id" }',
      input: [
        { time: 0, payload: { id: 'a', v: 12 } },
        { time: 10_000, payload: { id: 'a', v: 11 } },
        { time: 20_000, payload: { id: 'a', v: 13 } },
        { time: 30_000, payload: { id: 'a', v: 9 } },
        { time: 40_000, payload: { id: 'a', v: 7 } },
      ],
      output: [
        {
          output: 'alert',
          key: 'a',
          time: 20_000,
          value: { status: 'firing', severity: 'warning', id: 'a', v: 13 },
        },
        {
          output: 'alert',
          key: 'a',
          time: 40_000,
          value: { status: 'resolved', severity: 'warning', id: 'a', v: 7 },
        },
      ],
    },
    {
      title: 'A sensor that has gone silent',
      step: 'alert: { absence: 1m, by: "topic", severity: critical }',
      input: [
        { time: 0, topic: 't1', payload: { v: 1 } },
        { now: 61_000 },
        { time: 70_000, topic: 't1', payload: { v: 2 } },
      ],
      output: [
        {
          key: 't1',
          time: 60_000,
          value: { status: 'firing', severity: 'critical', absent: true, v: 1 },
        },
        {
          key: 't1',
          time: 70_000,
          value: { status: 'resolved', severity: 'critical', absent: true, v: 2 },
        },
      ],
    },
  ],
  compile(step, context) {
    const config = step.alert;
    const plan = planOf(config, context);
    return {
      output: shapeAfter(context.input),
      revises: false,
      stateVersion: 1,
      stateFingerprint: JSON.stringify([config.by ?? null]),
      create: (runtime) => new Alerts(plan, runtime),
    };
  },
});

function planOf(config: AlertConfig, context: CompileContext): AlertPlan {
  const condition = (field: 'when' | 'clear'): Expression | undefined => {
    const source = config[field];
    if (source === undefined) return undefined;
    return context.expression(source, ['alert', field], { expects: 'bool' });
  };
  const keyless = config.by === undefined && context.input.kind === 'record';
  return {
    when: condition('when'),
    clear: condition('clear'),
    forMs: config.for,
    absenceMs: config.absence ?? Infinity,
    keys: config.by === undefined ? keyOfRecord : compileBy(config.by, ['alert', 'by'], context),
    watchesFromStart: keyless && config.absence !== undefined,
    severity: config.severity,
  };
}

function shapeAfter(input: Shape): Shape {
  if (input.kind === 'record') return input;
  const columns = { ...input.columns, status: 'string', severity: 'string' } as const;
  return { kind: 'row', columns: { ...columns, absent: 'dyn' } };
}
