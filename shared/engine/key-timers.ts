/**
 * Which key of a step is due at which time: an index in memory, rebuilt from state at start.
 *
 * A binary heap with at most one live entry per key; an entry that was overtaken stays in the heap
 * and is skipped when it comes up. Setting and popping cost O(log n), asking for the earliest O(1).
 */
export class KeyTimers {
  private readonly dueOf = new Map<string, number>();
  private readonly heapDue: number[] = [];
  private readonly heapKey: string[] = [];

  /** The key is due at `dueMs`, whatever was set before. */
  set(key: string, dueMs: number): void {
    if (this.dueOf.get(key) === dueMs) return;
    this.dueOf.set(key, dueMs);
    this.push(dueMs, key);
    if (this.heapDue.length > 64 && this.heapDue.length > 4 * this.dueOf.size) this.compact();
  }

  /** The key is due at `dueMs` or when it was due before, whichever is earlier. */
  setEarlier(key: string, dueMs: number): void {
    const before = this.dueOf.get(key);
    if (before === undefined || dueMs < before) this.set(key, dueMs);
  }

  delete(key: string): void {
    this.dueOf.delete(key);
  }

  get(key: string): number | undefined {
    return this.dueOf.get(key);
  }

  /** Infinity when nothing is due. */
  earliestMs(): number {
    while (this.heapDue.length > 0 && this.stale()) this.drop();
    return this.heapDue.length === 0 ? Infinity : this.heapDue[0]!;
  }

  /** Takes out the earliest key that is due at `untilMs`. */
  pop(untilMs: number): string | undefined {
    if (this.earliestMs() > untilMs) return undefined;
    const key = this.heapKey[0]!;
    this.drop();
    this.dueOf.delete(key);
    return key;
  }

  private stale(): boolean {
    return this.dueOf.get(this.heapKey[0]!) !== this.heapDue[0];
  }

  private compact(): void {
    this.heapDue.length = 0;
    this.heapKey.length = 0;
    for (const [key, dueMs] of this.dueOf) this.push(dueMs, key);
  }

  private push(dueMs: number, key: string): void {
    let at = this.heapDue.length;
    this.heapDue.push(dueMs);
    this.heapKey.push(key);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.heapDue[parent]! <= dueMs) break;
      this.heapDue[at] = this.heapDue[parent]!;
      this.heapKey[at] = this.heapKey[parent]!;
      at = parent;
    }
    this.heapDue[at] = dueMs;
    this.heapKey[at] = key;
  }

  private drop(): void {
    const dueMs = this.heapDue.pop()!;
    const key = this.heapKey.pop()!;
    const size = this.heapDue.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.heapDue[child + 1]! < this.heapDue[child]!) child += 1;
      if (this.heapDue[child]! >= dueMs) break;
      this.heapDue[at] = this.heapDue[child]!;
      this.heapKey[at] = this.heapKey[child]!;
      at = child;
    }
    this.heapDue[at] = dueMs;
    this.heapKey[at] = key;
  }
}
