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
    'Sources, jobs and commits go on while it is made; they wait only for its end, the last ' +
      'changes and two renames: well below a second, and as `compact_busy` it is refused when ' +
      'that would take longer.',
    'Nothing that was acknowledged is lost, at any crash; a timeout or a cancel leaves the store ' +
      'as it was.',
    'Refused as `compact_no_room` when the disk has no room for the copy.',
    'Takes some seconds for every 100 MiB in use.',
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
