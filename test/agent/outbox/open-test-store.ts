/** A real store of its own, and one whose commits fail or stop when the test says so. */
import { onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import {
  type CheckpointStore,
  openCheckpointStore,
} from '@runnel/agent/checkpoints/checkpoint-store.ts';
import type { Participant } from '@runnel/agent/streams/participant.ts';
import { tempDir } from '../../support/temp-dir.ts';

export function openTestStore(dir = tempDir('store')): CheckpointStore {
  const store = openCheckpointStore({
    dir,
    bytesMax: 1 << 30,
    monotonicMs: () => systemClock.monotonicMs(),
  });
  onTestFinished(() => store.close());
  return store;
}

/** The commit cycle of a few participants, one commit at a time. */
export class Committer {
  readonly #store: CheckpointStore;
  #participants: Participant[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #commit = 0;
  now = 1000;

  constructor(store: CheckpointStore) {
    this.#store = store;
  }

  use(...participants: Participant[]): void {
    this.#participants = participants;
  }

  /** `fails`: everything is staged and nothing of it reaches the disk. */
  async commit(fails = false): Promise<void> {
    const next = this.#last.then(() => this.#run(fails));
    this.#last = next.catch(() => undefined);
    await next;
  }

  async #run(fails: boolean): Promise<void> {
    const context = { commit: ++this.#commit, now: this.now };
    try {
      await this.#store.commit((tx) => {
        for (const participant of this.#participants) participant.stage(tx, context);
        if (fails) throw new RunnelError('storage_write_failed', 'the disk does not answer');
      });
    } catch (error) {
      for (const participant of this.#participants) participant.reload();
      throw error;
    }
    for (const participant of this.#participants) participant.committed(context.commit);
  }
}
