/**
 * Summaries by calendar period: hours to days, days to months.
 */
import { z } from 'zod';
import { rollupIssues } from '../compile-rollup.ts';
import { COLUMN } from '../../engine/operators/window.ts';
import { windowSizeOf } from '../../engine/windows/window-size.ts';
import { isTimezone } from '../../engine/windows/time-zone.ts';
import { columnField, datasetField, exactlyOne, journalField, taskField } from '../rows-input.ts';
import type { ConfigOf } from '../source-definition.ts';
import { withHint, wordFor } from '../strict.ts';
import { defineTask } from '../task-definition.ts';

export const rollupTask = defineTask({
  kind: 'rollup',
  summary:
    'Sums up rows by calendar period and by columns, into a dataset with one partition each.',
  guarantees: [
    'Periods follow the time zone: a day has 23 or 25 hours when summer time begins or ends.',
    'A period is computed whole, from all its rows, and replaced; the same again is no update.',
    'Records of the journal that come late make their periods be computed again; a period of ' +
      'which the journal no longer has all is kept as it is, and said.',
    'Only periods that have ended are written; one in which nothing came has no partition.',
    'Beside the values stands what they were made of (`_partial`), so that a coarser rollup ' +
      '(`from`) merges it and gives what the rows themselves would have given.',
    'At most 1,000 periods and 100,000 groups in one attempt; more fail it.',
  ],
  output:
    '`{ periods, rowCount, columns, skipped }`: periods and rows that were computed, and the ' +
    'periods that were left as they are. A row has `_time` (start of its period), `_end`, the ' +
    'columns of `by` and `aggregate`, and `_partial`.',
  fields: {
    input: taskField
      .optional()
      .describe('Task whose table is summed up; it must hold whole periods. Example: `clean`.'),
    journal: journalField
      .optional()
      .describe('Source whose journal is summed up, with what came late. Example: `readings`.'),
    rows: datasetField.optional().describe('Dataset whose rows are summed up. Example: `events`.'),
    from: datasetField
      .optional()
      .describe('Dataset of a finer rollup, whose partials are merged. Example: `hourly-rms`.'),
    time: z
      .string()
      .min(1)
      .default('_time')
      .describe(
        'Event time of a row: an expression over its columns that gives epoch milliseconds or an ' +
          'ISO 8601 text.',
      ),
    period: z
      .string()
      .superRefine((text, context) => {
        if (windowSizeOf(text) !== undefined) return;
        const hint = 'write 15m, 1h, or by the calendar 1d, 1w, 1mo';
        context.addIssue(withHint(`${wordFor(text)} is no period`, hint));
      })
      .describe('Length: `15m`, `1h`, or by the calendar `1d`, `1w`, `1mo`.'),
    timezone: z
      .string()
      .refine(isTimezone, {
        error: withHint('is no time zone', 'write an IANA name such as Europe/Paris'),
      })
      .optional()
      .describe("IANA time zone of calendar periods. Default: that of the job's partition."),
    by: z
      .union([columnField, z.array(columnField).min(1).max(16)], {
        error: 'must be a column or a list of columns',
      })
      .optional()
      .describe('Columns by which rows are grouped. Default: one group. Example: `[machine]`.'),
    aggregate: z
      .record(z.string().regex(COLUMN, 'a column is named by letters, digits and _'), z.string())
      .refine((columns) => Object.keys(columns).length > 0, 'needs at least one column')
      .describe(
        'Columns and what they are, over the columns of a row. With `from`: calls that the finer ' +
          'rollup has too. Example: `{ rms: "avg(rms)", n: "count()" }`.',
      ),
    dataset: datasetField.describe('Dataset that is written. Example: `daily-rms`.'),
    deliver: z
      .boolean()
      .default(false)
      .describe('Whether the rows go to the control plane too, without `_partial`.'),
  },
  raw: ['time', 'aggregate'],
  reads: ({ input }) => (input === undefined ? [] : [input]),
  journals: ({ journal }) => (journal === undefined ? [] : [journal]),
  datasets: ({ dataset }) => [dataset],
  problem: (config) => {
    const problem = exactlyOne(config, ['input', 'journal', 'rows', 'from']);
    if (problem !== undefined) return problem;
    if ((config.from ?? config.rows) === config.dataset) {
      return ['dataset', 'is the one that is read: give it a name of its own'];
    }
    if (config.from !== undefined && config.time !== '_time') {
      return ['time', 'has no meaning with from: the finer rollup has its periods'];
    }
    const calendar = windowSizeOf(config.period)?.kind === 'calendar';
    if (config.timezone !== undefined && !calendar) {
      return ['timezone', 'needs a calendar period: 1d, 1w or 1mo (24h is a fixed length)'];
    }
    return undefined;
  },
  issues: rollupIssues,
  examples: [
    {
      title: 'Hours of the journal, and days of the hours',
      yaml: [
        '- id: hours',
        '  rollup:',
        '    journal: readings',
        '    period: 1h',
        '    by: [machine]',
        '    aggregate: { rms: avg(rms), n: count() }',
        '    dataset: hourly-rms',
        '- id: days',
        '  needs: [hours]',
        '  rollup:',
        '    from: hourly-rms',
        '    period: 1d',
        '    timezone: Europe/Paris',
        '    by: [machine]',
        '    aggregate: { rms: avg(rms), n: count() }',
        '    dataset: daily-rms',
        '    deliver: true',
      ].join('\n'),
    },
  ],
});

export type RollupTaskConfig = ConfigOf<typeof rollupTask>;
