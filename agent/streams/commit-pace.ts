/**
 * `commit.linger: auto` (DESIGN.md §6.1): slow traffic is paced by a token bucket, because a commit
 * of one record costs about 36 KiB of writes to flash. What is urgent does not ask for a token.
 */
export interface PaceSettings {
  readonly commitsPerSecond: number;
  readonly burst: number;
}

export const LINGER_AUTO: PaceSettings = { commitsPerSecond: 10, burst: 50 };

export class CommitPace {
  readonly #settings: PaceSettings;
  #tokens: number;
  #atMs: number;

  constructor(settings: PaceSettings, nowMs: number) {
    this.#settings = settings;
    this.#tokens = settings.burst;
    this.#atMs = nowMs;
  }

  /** 0 when a token was taken, else the milliseconds until there is one. */
  take(nowMs: number): number {
    const { commitsPerSecond, burst } = this.#settings;
    const earned = ((nowMs - this.#atMs) / 1000) * commitsPerSecond;
    this.#tokens = Math.min(burst, this.#tokens + earned);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) * 1000) / commitsPerSecond);
    this.#tokens -= 1;
    return 0;
  }
}
