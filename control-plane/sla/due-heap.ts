/**
 * What is due when, earliest first: a binary heap, so that ten thousand promises are looked at when
 * their time has come and not every second. An entry that was put again for another time stays
 * until the old time and is then passed by.
 */
interface Due<T> {
  readonly at: number;
  readonly item: T;
}

export class DueHeap<T> {
  readonly #heap: Due<T>[] = [];
  readonly #dueAt = new Map<T, number>();

  /** Replaces an earlier time; Infinity: not due by itself. */
  put(item: T, at: number): void {
    if (at === Infinity) {
      this.#dueAt.delete(item);
      return;
    }
    if (this.#dueAt.get(item) === at) return;
    this.#dueAt.set(item, at);
    this.#heap.push({ at, item });
    this.#rise(this.#heap.length - 1);
  }

  delete(item: T): void {
    this.#dueAt.delete(item);
  }

  /** Takes out the earliest that is due at `now`; undefined: none is. */
  take(now: number): T | undefined {
    for (;;) {
      const [first] = this.#heap;
      if (first === undefined || first.at > now) return undefined;
      this.#pop();
      if (this.#dueAt.get(first.item) !== first.at) continue;
      this.#dueAt.delete(first.item);
      return first.item;
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(from: number): void {
    for (let index = from; index > 0;) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent) <= this.#at(index)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(): void {
    for (let index = 0; ;) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      let least = index;
      if (this.#at(left) < this.#at(least)) least = left;
      if (this.#at(right) < this.#at(least)) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Infinity;
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first === undefined || second === undefined) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}
