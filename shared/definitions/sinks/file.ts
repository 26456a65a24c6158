/**
 * To a file on the device.
 */
import { z } from 'zod';
import { defineSink } from '../sink-definition.ts';
import type { ConfigOf } from '../source-definition.ts';

export const fileSink = defineSink({
  kind: 'file',
  summary: 'Lines of a file on the device.',
  guarantees: [
    'Exactly once: after a crash the lines of an uncommitted delivery are cut off, nothing else.',
    'A file belongs to one sink; a second one, of this job or another, is refused.',
    'One line of JSON per output.',
  ],
  fields: {
    path: z
      .string()
      .min(1)
      .max(4096)
      .describe(
        'File; relative paths are under the data directory of the agent, and policy.yaml says ' +
          'where else may be written. Example: `out/bearing-rms.jsonl`.',
      ),
    format: z.enum(['jsonl']).default('jsonl').describe('One JSON object per line.'),
  },
  examples: [
    { title: 'A copy on the device', yaml: '- { from: rms, file: { path: out/rms.jsonl } }' },
  ],
});

export type FileSinkConfig = ConfigOf<typeof fileSink>;
