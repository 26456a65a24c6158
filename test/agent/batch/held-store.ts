/** A store whose commits wait until they are let through: what is not on disk yet can be seen. */
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { storeAround } from '../../support/store-around.ts';

export class HeldStore {
  #held: Promise<void> = Promise.resolve();
  #release = (): void => undefined;
  /** Commits that wait. */
  waiting = 0;
  store: CheckpointStore | undefined;

  readonly wrap = (store: CheckpointStore): CheckpointStore => {
    this.store = store;
    return storeAround(store, async (write) => {
      this.waiting++;
      await this.#held;
      this.waiting--;
      return store.commit(write);
    });
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
