/**
 * State of versions that are gone, deleted some keys per commit, so that dropping a job with a
 * hundred thousand keys does not hold up the others. Which slots are garbage is on disk
 * (`['garbage', slot]` in `meta`), so a crash only delays it.
 */
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { stepPrefix } from '../checkpoints/state-codec.ts';
import { readGarbage, removeGarbage } from './job-record.ts';

const KEYS_PER_COMMIT_MAX = 500;

export class StateGarbage {
  readonly #store: CheckpointStore;
  #slots: number[] = [];
  /** Added in the commit that is being staged: its state may still be written by it. */
  #added: number[] = [];

  constructor(store: CheckpointStore) {
    this.#store = store;
    this.reload();
  }

  get isDirty(): boolean {
    return this.#slots.length > 0;
  }

  add(slot: number): void {
    this.#added.push(slot);
  }

  stage(tx: StoreTx): void {
    const [slot] = this.#slots;
    if (slot === undefined) return;
    const range = {
      start: stepPrefix(slot, 0),
      end: stepPrefix(slot + 1, 0),
      limit: KEYS_PER_COMMIT_MAX,
    };
    let removed = 0;
    for (const key of this.#store.keys('state', range)) {
      tx.remove('state', key);
      removed++;
    }
    if (removed === KEYS_PER_COMMIT_MAX) return;
    removeGarbage(tx, slot);
    this.#slots.shift();
  }

  committed(): void {
    this.#slots.push(...this.#added);
    this.#added = [];
  }

  reload(): void {
    this.#added = [];
    this.#slots = readGarbage(this.#store);
  }
}
