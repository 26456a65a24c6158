/**
 * The lines of a growing file.
 */
import { z } from 'zod';
import { positiveDuration } from '../duration.ts';
import { type ConfigOf, defineSource } from '../source-definition.ts';

export const fileSource = defineSource({
  kind: 'file',
  summary: 'The lines of a file that grows, like `tail -F`.',
  guarantees: [
    'The position is committed with the records, so every complete line counts exactly once.',
    'A file that was replaced or cut short is read from its beginning.',
    'A line without a line end waits until it is complete; one beyond 1 MiB is dropped, counted.',
  ],
  record:
    '`payload` is the decoded line, `topic` the path, `meta` has `path` and `offset` (in bytes).',
  fields: {
    path: z
      .string()
      .min(1)
      .max(4096)
      .describe(
        'File; relative paths are under the data directory of the agent, and policy.yaml says ' +
          'what else may be read. Example: `/var/log/press.jsonl`.',
      ),
    from: z
      .enum(['start', 'end'])
      .default('start')
      .describe('Where reading begins the first time.'),
    every: positiveDuration
      .prefault('1s')
      .describe('How often the file is looked at. Example: `250ms`.'),
  },
  examples: [
    {
      title: 'JSON lines that another program writes',
      yaml: 'log: { file: { path: /var/log/press.jsonl } }',
    },
  ],
});

export type FileSourceConfig = ConfigOf<typeof fileSource>;
