/**
 * Memory for cached state, shared by all jobs of an agent. Policy when it is met: the jobs' clean
 * entries are forgotten, those not used lately first, largest cache first; they are read from disk
 * when they are needed again. Between two commits it can be exceeded by what these records touch.
 */
export interface Forgetful {
  readonly bytes: number;
  forget(bytes: number, flushedCommit: number): void;
}

export class StateBudget {
  readonly bytesMax: number;
  readonly #caches = new Set<Forgetful>();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  add(cache: Forgetful): void {
    this.#caches.add(cache);
  }

  remove(cache: Forgetful): void {
    this.#caches.delete(cache);
  }

  get bytes(): number {
    let bytes = 0;
    for (const cache of this.#caches) bytes += cache.bytes;
    return bytes;
  }

  /** Called after a flush; `flushedCommit` is the newest commit on disk. */
  enforce(flushedCommit: number): void {
    let over = this.bytes - this.bytesMax;
    if (over <= 0) return;
    // A tenth more, so that this is not done again at once.
    over += this.bytesMax / 10;
    const caches = [...this.#caches].toSorted((a, b) => b.bytes - a.bytes);
    // The first round spares what was used lately, the second one nothing that is on disk.
    for (const cache of [...caches, ...caches]) {
      if (over <= 0) return;
      const before = cache.bytes;
      cache.forget(over, flushedCommit);
      over -= before - cache.bytes;
    }
  }
}
