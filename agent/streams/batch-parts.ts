/** What the batch engine gets of the rest of the agent. */
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { BatchSettings } from '../batch/batch-engine.ts';
import type { CheckpointStore, ReplaceableStore } from '../checkpoints/checkpoint-store.ts';
import { StoreCompaction } from '../checkpoints/compact-store.ts';
import type { Journal } from '../journal/journal.ts';
import type { DeadLetters } from '../outbox/dead-letters.ts';
import type { Outbox } from '../outbox/outbox.ts';
import type { Conditions } from '../resources/conditions.ts';
import { diskShareOf } from '../resources/disk-share.ts';
import { surroundingsReader } from '../resources/surroundings.ts';
import { BatchSlot } from './batch-slot.ts';
import { BUDGETS, type Budgets } from './budgets.ts';
import type { CommitCycle } from './commit-cycle.ts';
import { declaredSources } from './declared-sources.ts';
import type { JobSet } from './job-set.ts';

export interface BatchDevice {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly agent: string;
  readonly conditions: Conditions;
  readonly verifyEntry: string;
  readonly batch?: BatchSettings;
  readonly budgets?: Partial<Budgets>;
  readonly isClockSynchronised?: (nowMs: number) => boolean;
}

export interface BatchParts {
  readonly store: CheckpointStore;
  /** The store itself, under whatever a test put around it. */
  readonly care: ReplaceableStore;
  readonly journal: Journal;
  readonly outbox: Outbox;
  readonly deadLetters: DeadLetters;
  readonly jobs: JobSet;
  /** Made after this. */
  readonly cycle: () => CommitCycle;
  readonly exclusive: <T>(change: () => Promise<T>) => Promise<T>;
  readonly changed: (job: string) => void;
}

/** Without `batch` in the options batch jobs are refused. */
export function batchSlotOf(device: BatchDevice, parts: BatchParts): BatchSlot {
  const { batch, dataDir, verifyEntry } = device;
  const { store, care, journal, outbox, deadLetters, jobs, cycle, exclusive, changed } = parts;
  const writes: ConstructorParameters<typeof BatchSlot>[0] = {
    store,
    row: (origin, text) => outbox.addOf(origin, text),
    deadLetter: (job, version, letter) => deadLetters.add(job, version, letter),
    wake: () => cycle().wake(),
    bytesMax: device.budgets?.storeBytesMax ?? BUDGETS.storeBytesMax,
  };
  if (batch === undefined) return new BatchSlot(writes);
  return new BatchSlot(writes, {
    ...device,
    ...batch,
    childEntry: batch.childEntry ?? join(dirname(verifyEntry), 'task-child.js'),
    surroundings: batch.surroundings ?? surroundingsReader(device),
    diskShare: batch.diskShare ?? (() => diskShareOf(dataDir)),
    journal,
    streamSources: () => declaredSources(jobs.hosts.values()),
    purgeJournal: (timeMs) => purgeJournal(parts, timeMs),
    recountLanes: (mend) => outbox.recount(mend),
    storeCare: new StoreCompaction({ ...device, store: care, exclusive }),
    changed,
  });
}

/** Drops blocks of records that arrived before and that every job has read; returns records. */
async function purgeJournal({ journal, jobs, cycle }: BatchParts, timeMs: number): Promise<number> {
  const before = journal.recordsDropped;
  for (let dropped = -1; dropped !== journal.recordsDropped;) {
    dropped = journal.recordsDropped;
    journal.purge(timeMs, jobs.readUpTo);
    // A commit that writes nothing else.
    jobs.once(() => undefined);
    await cycle().request(true);
  }
  return journal.recordsDropped - before;
}
