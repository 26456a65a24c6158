/**
 * Event times by block, for sources with a `time:` expression.
 *
 * Arrival is in a block's footer; event time is not, and nothing bounds it: a device that was off
 * sends what is days old, and while its clock is wrong `maxAhead` is off. So no block may be left
 * out before it was read. But blocks never change: what a first reading found holds for the next,
 * which then skips what lies outside of its range.
 *
 * In memory only, 16 bytes a block and source; policy: the source that was read longest ago goes.
 */
const SOURCES_MAX = 32;

interface Times {
  readonly minMs: number;
  readonly maxMs: number;
}

/** A block without a record of the source that can be read. */
const NONE: Times = { minMs: Infinity, maxMs: -Infinity };

export class BlockTimes {
  readonly #sources = new Map<string, Map<number, Times>>();

  /** Whether the block may hold a record of the source in `[fromMs, toMs)`. */
  mayHold(source: string, block: number, fromMs: number, toMs: number): boolean {
    const times = this.#sources.get(source)?.get(block);
    return times === undefined || (times.maxMs >= fromMs && times.minMs < toMs);
  }

  /** All records of the source in this block have these times. */
  learn(source: string, block: number, times: Times = NONE): void {
    const blocks = this.#sources.get(source) ?? new Map<number, Times>();
    this.#sources.delete(source);
    this.#sources.set(source, blocks);
    blocks.set(block, times);
    if (this.#sources.size <= SOURCES_MAX) return;
    const [oldest] = this.#sources.keys();
    if (oldest !== undefined) this.#sources.delete(oldest);
  }

  /** Blocks before this one are gone. */
  forgetBefore(first: number): void {
    for (const blocks of this.#sources.values()) {
      // In the order of insertion, which is that of the numbers but for what was read again.
      for (const block of blocks.keys()) {
        if (block >= first) break;
        blocks.delete(block);
      }
    }
  }
}
