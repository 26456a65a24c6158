/** A run that never was: what expressions are checked on at submit, and shown with in a plan. */
import { epochMs } from '../ids.ts';
import type { PartitionDefinition } from './batch-job.ts';
import type { TaskScope } from './batch-program.ts';

const START_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** Its outputs and items are not to be used: nobody knows them. */
export function sampleScope(job: string, partition: PartitionDefinition | null): TaskScope {
  const key = partition?.kind === 'keys' ? (partition.keys[0] ?? 'key') : null;
  const hasPeriod = partition !== null && partition.every !== null;
  const endMs = hasPeriod ? START_MS + DAY_MS : START_MS;
  const date = '2026-01-01';
  const id = [key, hasPeriod || key === null ? date : null].filter((part) => part !== null);
  return {
    job: { name: job, version: 1 },
    run: { id: 'run', key: `${job}/${id.join('/')}`, at: endMs, trigger: 'schedule' },
    partition: {
      id: id.join('/'),
      key,
      start: epochMs(START_MS),
      end: epochMs(endMs),
      startAt: new Date(START_MS).toISOString(),
      endAt: new Date(endMs).toISOString(),
      timezone: partition?.timezone ?? 'UTC',
      date,
    },
    agent: { id: 'agent', name: 'agent', labels: {} },
    tasks: {},
    item: null,
    index: null,
  };
}
