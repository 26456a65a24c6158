/** Stores that stand between the agent and its disk and fail at a chosen commit. */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { storeAround } from '../../support/store-around.ts';

export interface CountedCommits {
  /** Commits that were let through and wrote something of batch jobs. */
  done: number;
}

/** After `commits` with something of batch jobs in them nothing is written any more. */
export function stopsAfter(commits: number, counted: CountedCommits = { done: 0 }) {
  return (store: CheckpointStore): CheckpointStore =>
    storeAround(store, async (write) => {
      let isBatch = false;
      const receipt = await store.commit((tx) => {
        write({
          put(db, key, value) {
            isBatch ||= db === 'batch';
            tx.put(db, key, value);
          },
          remove: (db, key) => tx.remove(db, key),
        });
        if (isBatch && counted.done >= commits) {
          throw new RunnelError('storage_write_failed', 'the device is gone', { retry: 'backoff' });
        }
      });
      if (isBatch) counted.done++;
      return receipt;
    });
}

/** Every `nth` commit finds the disk full, and is not there, until there is room again. */
export function fullEvery(nth: number, disk: { hasRoom: boolean }) {
  let commits = 0;
  return (store: CheckpointStore): CheckpointStore =>
    storeAround(store, async (write) => {
      commits++;
      const isFull = commits % nth === 0 && !disk.hasRoom;
      return store.commit((tx) => {
        write(tx);
        if (isFull) throw new RunnelError('storage_full', 'no room', { retry: 'backoff' });
      });
    });
}
