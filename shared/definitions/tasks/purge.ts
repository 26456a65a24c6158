/**
 * Deletes what is old enough: partitions of a dataset, files, records of the journal.
 */
import { z } from 'zod';
import { age } from '../duration.ts';
import { datasetField, exactlyOne, taskField } from '../rows-input.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';

export const purgeTask = defineTask({
  kind: 'purge',
  summary: 'Deletes old partitions of a dataset, old files, or old records of the journal.',
  guarantees: [
    'Age counts back from the time that the run stands for, not from when it happened to run.',
    'Partitions go in the commit in which the task succeeds; their files after it.',
    'Files: only regular files that match, where policy.yaml allows; links are not followed, and ' +
      'no directory is removed.',
    'With `archivedBy` nothing goes that the archive tasks have not read back and verified; a ' +
      'partition whose rows have changed since stays.',
    'The journal keeps what a job has yet to read, and what any job of the device, this one ' +
      'included, has asked for as `history`.',
    'The journal with `archivedBy`: what came since the first record of a source that no archive ' +
      'of the list is of stays, and `heldBy` says which source that is.',
    'At most 10,000 partitions or files in one attempt; the rest goes with the next.',
  ],
  output:
    '`{ dryRun, removed, bytes, kept, items }`: how many went (or would), how many stay, and at ' +
    'most 100 names. Journal: `{ dryRun, removed, before, heldBy }`, where `removed` counts ' +
    'records that arrived before, and `heldBy` is what kept more: an archive task, `history`, a ' +
    'source without an archive, or null.',
  fields: {
    dataset: datasetField
      .optional()
      .describe('Dataset whose old partitions go. Example: `hourly-rms`.'),
    files: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'Files that match go: `*`, `?` and `[a-z]` in the last part; relative to the data ' +
          'directory. Example: `archive/*.parquet`.',
      ),
    journal: z
      .literal(true)
      .optional()
      .describe('Records of the journal that arrived before. Example: `true`.'),
    olderThan: age
      .optional()
      .describe(
        'Age: of a partition since its end, of a file since it was written, of a record since it ' +
          'arrived. Default: any age, where `keep` or `archivedBy` says what stays. ' +
          'Example: `30d`.',
      ),
    keep: z
      .number()
      .int()
      .min(0)
      .max(100_000)
      .optional()
      .describe('The newest so many stay whatever their age. Example: `12`.'),
    archivedBy: z
      .union([taskField, z.array(taskField).min(1).max(32)], {
        error: 'must be a task or a list of tasks',
      })
      .optional()
      .describe(
        'Archive tasks of this job: only what all of them have verified goes. The journal holds ' +
          'the records of all sources: name an archive for each, or nothing goes that came after ' +
          'the first record of another. Example: `archive`.',
      ),
    dryRun: z.boolean().default(false).describe('Lists what would go, and deletes nothing.'),
  },
  reads: ({ archivedBy }) => (typeof archivedBy === 'string' ? [archivedBy] : (archivedBy ?? [])),
  problem: (config) => {
    const problem = exactlyOne(config, ['dataset', 'files', 'journal']);
    if (problem !== undefined) return problem;
    if (config.journal !== undefined && config.keep !== undefined) {
      return ['keep', 'goes with dataset or files'];
    }
    if (config.files !== undefined && config.archivedBy !== undefined) {
      return ['archivedBy', 'goes with dataset or journal: it says what may go of the original'];
    }
    if (config.olderThan ?? config.keep ?? config.archivedBy) return undefined;
    if (config.olderThan === 0 || config.keep === 0) return undefined;
    return ['olderThan', 'is missing: one of olderThan, keep, archivedBy says what goes'];
  },
  examples: [
    {
      title: 'A dataset kept for 90 days',
      yaml: '- { id: prune, purge: { dataset: hourly-rms, olderThan: 90d } }',
    },
    {
      title: 'The journal, as far as it is archived',
      yaml: [
        '- id: trim',
        '  needs: [archive]',
        '  purge: { journal: true, archivedBy: archive, olderThan: 7d }',
      ].join('\n'),
    },
    {
      title: 'The newest twelve archives stay',
      yaml: '- { id: prune, purge: { files: "archive/*.parquet", olderThan: 365d, keep: 12 } }',
    },
  ],
});

export type PurgeTaskConfig = ConfigOf<typeof purgeTask>;
