/**
 * How far the fleet has come with a dataset: of each device the newest end of a window or partition
 * that it reported, which is its watermark here. A device has reported what ends at T when it
 * reported something that ends at T or later; keys that had nothing to report hold nobody up.
 *
 * Ends are known as they come in; when nobody reports any more the next ones are expected at the
 * distance of the last two, so that a fleet that fell silent as a whole is noticed. What ended
 * before anybody here could hear is not judged.
 */
const ENDS_MAX = 64;

export class FleetProgress {
  readonly #upTo = new Map<string, number>();
  /** Ascending; the oldest go. */
  #ends: number[] = [];
  #lengthMs = 0;

  reported(agent: string, startAt: number, endAt: number): boolean {
    const before = this.#upTo.get(agent);
    if (before === undefined || endAt > before) this.#upTo.set(agent, endAt);
    const newest = this.#ends.at(-1);
    if (newest === undefined || endAt > newest) {
      this.#lengthMs = Math.max(1, endAt - (newest ?? startAt), endAt - startAt);
      if (newest !== undefined) this.#lengthMs = Math.max(1, endAt - newest);
      this.#ends = [...this.#ends.slice(1 - ENDS_MAX), endAt];
      return true;
    }
    return before === undefined || endAt > before;
  }

  forget(agent: string): void {
    this.#upTo.delete(agent);
  }

  /** The newest end at or before the instant, and the first after it; null: nobody can say. */
  around(at: number): { readonly end: number | null; readonly next: number | null } {
    const newest = this.#ends.at(-1);
    if (newest === undefined) return { end: null, next: null };
    if (at >= newest) {
      const end = newest + Math.floor((at - newest) / this.#lengthMs) * this.#lengthMs;
      return { end, next: end + this.#lengthMs };
    }
    const next = this.#ends.find((each) => each > at) ?? newest;
    return { end: this.#ends.findLast((each) => each <= at) ?? null, next };
  }

  hasReported(agent: string, endAt: number): boolean {
    return (this.#upTo.get(agent) ?? -Infinity) >= endAt;
  }
}
