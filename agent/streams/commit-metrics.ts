/** What the commit cycle counts: for `counters()`, metrics and the benchmark. */

/** Upper bounds of the latency buckets in milliseconds; the last is open. */
export const LATENCY_BUCKETS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 1000] as const;

export class CommitMetrics {
  records = 0;
  /** Payload bytes taken in. */
  bytesIn = 0;
  commits = 0;
  failures = 0;
  /** Bytes of keys and values handed to the store. */
  bytesWritten = 0;
  stageMs = 0;
  flushMs = 0;
  flushMsMax = 0;
  /** Commits by how long they took from staging to flush; one more entry than there are bounds. */
  readonly latency: number[] = Array.from({ length: LATENCY_BUCKETS_MS.length + 1 }, () => 0);

  ingested(bytes: number): void {
    this.records++;
    this.bytesIn += bytes;
  }

  committed(bytes: number, stageMs: number, flushMs: number): void {
    this.commits++;
    this.bytesWritten += bytes;
    this.stageMs += stageMs;
    this.flushMs += flushMs;
    this.flushMsMax = Math.max(this.flushMsMax, flushMs);
    const total = stageMs + flushMs;
    const found = LATENCY_BUCKETS_MS.findIndex((bound) => total <= bound);
    const bucket = found === -1 ? LATENCY_BUCKETS_MS.length : found;
    this.latency[bucket] = (this.latency[bucket] ?? 0) + 1;
  }

  failed(): void {
    this.failures++;
  }

  counters(): Record<string, number> {
    const counters: Record<string, number> = {
      records: this.records,
      bytes_in: this.bytesIn,
      commits: this.commits,
      commit_failures: this.failures,
      bytes_written: this.bytesWritten,
      commit_stage_ms: Math.round(this.stageMs),
      commit_flush_ms: Math.round(this.flushMs),
      commit_flush_ms_max: Math.round(this.flushMsMax),
    };
    let below = 0;
    for (const [index, bound] of LATENCY_BUCKETS_MS.entries()) {
      below += this.latency[index] ?? 0;
      counters[`commits_within_${bound}_ms`] = below;
    }
    return counters;
  }
}
