/**
 * Memory for cached state, shared by all jobs of an agent. Policy when it is met: the jobs' clean
 * entries that were not used lately are forgotten, largest cache first; they are read from disk
 * when they are needed again.
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
    for (const cache of [...this.#caches].toSorted((a, b) => b.bytes - a.bytes)) {
      if (over <= 0) return;
      const before = cache.bytes;
      cache.forget(over, flushedCommit);
      over -= before - cache.bytes;
    }
  }
}
