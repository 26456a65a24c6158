/**
 * Judges a table before others rely on it.
 */
import { z } from 'zod';
import { qualityIssues } from '../compile-quality.ts';
import { checkField, nameOf } from '../quality-checks.ts';
import { taskField } from '../rows-input.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';
import type { Json } from '../../engine/record.ts';
import { limits } from '../../limits.ts';

function hasSql(checks: Json | undefined): boolean {
  if (!Array.isArray(checks)) return false;
  return checks.some(
    (check: Json) => typeof check === 'object' && check !== null && 'sql' in check,
  );
}

export const qualityTask = defineTask({
  kind: 'quality',
  summary: 'Checks a table: rows, their number and age, and how it compares with earlier runs.',
  guarantees: [
    'All checks are made in one pass, so that a failed task names everything that is wrong.',
    'The table behind this task is the input without the rows that drop and quarantine leave ' +
      'out; when a check blocks, the task fails with class `data` and there is none.',
    'A row that one check leaves out does not count for `unique` and the checks of the table.',
    'The history of a measure holds partitions that succeeded, each once however often it ran.',
    '`unique` keeps 16 bytes a row (SHA-256, cut); beyond 1 million rows the task fails.',
  ],
  output:
    '`{ passed, checks: [{ name, severity, passed, violations, measured, examples, problem }], ' +
    'rowCount, columns, dropped, quarantined }`; `violations` counts rows, `examples` has at ' +
    'most 5, `problem` says it in words.',
  fields: {
    input: taskField.describe('Task whose table is checked; among `needs`. Example: `daily`.'),
    checks: z
      .array(checkField)
      .min(1)
      .max(100)
      .superRefine((checks, context) => {
        const names = checks.map(nameOf);
        for (const [index, name] of names.entries()) {
          if (names.indexOf(name) === index) continue;
          const message = `a second check called "${name}": give it a name of its own`;
          context.addIssue({ code: 'custom', path: [index], message });
        }
      })
      .describe('What must hold. Each item is one check, with `severity` and `name`.'),
  },
  raw: ['checks.*.sql', 'checks.*.expression', 'checks.*.anomaly.measure'],
  reads: ({ input }) => [input],
  requires: ({ checks }) => (checks.some(({ sql }) => sql !== undefined) ? ['sql'] : []),
  memory: ({ checks }) => (hasSql(checks) ? limits.sqlCheckMemoryBytesMax : 0),
  issues: qualityIssues,
  examples: [
    {
      title: 'Stop on a missing machine, leave out what no sensor can measure',
      yaml: [
        '- id: check',
        '  needs: [daily]',
        '  quality:',
        '    input: daily',
        '    checks:',
        '      - notNull: machine',
        '      - { range: { column: rms, min: 0, max: 50 }, severity: quarantine }',
        '      - { rowCount: { min: 1 } }',
        '      - { anomaly: { measure: avg(rms) }, severity: warn }',
      ].join('\n'),
    },
  ],
});

export type QualityTaskConfig = ConfigOf<typeof qualityTask>;
