/**
 * What is old, as files that last: Parquet or compressed JSON lines, one per period.
 */
import { z } from 'zod';
import { templatePieces } from '../batch-template.ts';
import { age } from '../duration.ts';
import { datasetField, exactlyOne, journalField } from '../rows-input.ts';
import { size } from '../size.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';
import { memorySetting } from '../task-memory.ts';
import { windowSizeOf } from '../../engine/windows/window-size.ts';

export const archiveTask = defineTask({
  kind: 'archive',
  summary: 'Writes old records of the journal, or old partitions of a dataset, to files.',
  guarantees: [
    'Each file is read back before it gets its name: number of rows and a checksum over them ' +
      'must be those of the source; where it goes to another disk, the copy must be the ' +
      'same byte by byte. Only then may `purge` with `archivedBy` remove the original.',
    'Running it again adds nothing twice: what is archived is committed with the success of the ' +
      'task, and a file that was written before a crash is written over.',
    'Records that come late, for a period that is archived: its file is written anew where the ' +
      'journal still holds the whole period; else they go into a file beside it, `….r1.parquet`.',
    'With `fullRefresh` a file whose period the journal no longer has as a whole is not written ' +
      'over: the task fails and names it.',
    'Age counts back from the time that the run stands for.',
  ],
  output:
    '`{ files, fileCount, rowCount, bytes }`, with `journal` `source`, `archivedUpTo` and ' +
    '`purgeableUpTo`: at most 100 of the files of this run, what the journal calls the source, ' +
    'the event time up to which all is archived, and the arrival before which nothing is ' +
    'needed. The table has a row for each archived period ' +
    'that is known: `partition`, `start`, `end`, `file`, `rows`, `bytes`, `checksum`, and `hash` ' +
    'of a dataset.',
  fields: {
    journal: journalField
      .optional()
      .describe('Source whose journal is archived: an alias, or `job/alias`. Example: `readings`.'),
    dataset: datasetField
      .optional()
      .describe('Dataset whose partitions are archived, a file each. Example: `hourly-rms`.'),
    olderThan: age
      .prefault('0s')
      .describe('A period is archived when it ended so long before. Example: `7d`.'),
    period: z
      .string()
      .refine((text) => windowSizeOf(text) !== undefined, 'is no period: 1h, 1d, 1w, 1mo')
      .default('1d')
      .describe('With `journal`: what one file covers. Calendar units follow `timezone`.'),
    timezone: z
      .string()
      .min(1)
      .default('UTC')
      .describe('IANA zone of the calendar. Example: `Europe/Paris`.'),
    to: z
      .string()
      .min(1)
      .max(4096)
      .describe(
        'File; `partition` in its templates is the period that is archived. With `format: jsonl` ' +
          'it is compressed by gzip. Example: `archive/{{ partition.date }}.parquet`.',
      ),
    format: z
      .enum(['parquet', 'jsonl'])
      .default('parquet')
      .describe('parquet needs DuckDB on the device; jsonl does not.'),
    memory: size
      .prefault('256MiB')
      .describe(
        'With `format: parquet`: memory of the process that writes; at least that counts as ' +
          '`cost.memory`.',
      ),
  },
  raw: ['to'],
  memory: ({ format, memory }) =>
    format === 'jsonl' ? 0 : memorySetting(memory, 256 * 1024 * 1024),
  requires: ({ format }) => (format === 'parquet' ? ['sql'] : []),
  journals: ({ journal }) => (journal === undefined ? [] : [journal]),
  problem: (config) => {
    const problem = exactlyOne(config, ['journal', 'dataset']);
    if (problem !== undefined) return problem;
    if (!/\{\{[^}]*\bpartition\b/.test(config.to)) {
      return ['to', 'names one file for all periods: put {{ partition.id }} into it'];
    }
    const pieces = templatePieces(config.to);
    if ('problem' in pieces) return ['to', `${pieces.problem}: ${pieces.hint}`];
    return undefined;
  },
  examples: [
    {
      title: 'A file of the journal for each day that is a week old',
      yaml: [
        '- id: archive',
        '  archive:',
        '    journal: readings',
        '    olderThan: 7d',
        '    to: "archive/{{ partition.date }}.parquet"',
      ].join('\n'),
    },
    {
      title: 'Months of a dataset, without DuckDB',
      yaml: [
        '- id: archive',
        '  archive:',
        '    dataset: monthly-rms',
        '    olderThan: 90d',
        '    to: "archive/rms-{{ partition.id }}.jsonl.gz"',
        '    format: jsonl',
      ].join('\n'),
    },
  ],
});

export type ArchiveTaskConfig = ConfigOf<typeof archiveTask>;
