/**
 * Gives the disk back what the store no longer needs.
 */
import { size } from '../size.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';

export const compactTask = defineTask({
  kind: 'compact',
  summary: "Copies the agent's store without its free pages and goes on with the copy.",
  guarantees: [
    'The copy is read through in a process of its own before it is used.',
    'Sources wait while it is made; nothing that was acknowledged is lost, at any crash.',
    'Refused when the disk has no room for the copy.',
    'Needs seconds: about one for every 100 MiB in use.',
  ],
  output: '`{ compacted, bytesBefore, bytesAfter }`.',
  fields: {
    freeMin: size
      .prefault('1MiB')
      .describe('Nothing is done unless so much would be freed. Default `1MiB`.'),
  },
  examples: [
    {
      title: 'Once a week, behind the purge',
      yaml: '- { id: shrink, needs: [prune], compact: { freeMin: 64MiB } }',
    },
  ],
});

export type CompactTaskConfig = ConfigOf<typeof compactTask>;
