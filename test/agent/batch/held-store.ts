/** A store whose commits wait until they are let through: what is not on disk yet can be seen. */
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';

export class HeldStore {
  #held: Promise<void> = Promise.resolve();
  #release = (): void => undefined;
  /** Commits that wait. */
  waiting = 0;
  store: CheckpointStore | undefined;

  readonly wrap = (store: CheckpointStore): CheckpointStore => {
    this.store = store;
    return {
      get: (db, key) => store.get(db, key),
      read: (db, key, use) => store.read(db, key, use),
      has: (db, key) => store.has(db, key),
      range: (db, range) => store.range(db, range),
      keys: (db, range) => store.keys(db, range),
      usedBytes: (db) => store.usedBytes(db),
      close: () => store.close(),
      commit: async (write) => {
        this.waiting++;
        await this.#held;
        this.waiting--;
        return store.commit(write);
      },
    };
  };

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  /** First parts of the keys of batch jobs that are on disk. */
  batchKeys(): string[] {
    const keys = this.store?.keys('batch', {}) ?? [];
    return [...keys].map((key) => String((key as readonly unknown[])[0]));
  }
}
