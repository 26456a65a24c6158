/** What came into the store and says something of promises. */

/** What of a block concerns promises; times by the clock of the control plane. */
export interface Arrived {
  readonly job: string;
  readonly dataset: string;
  readonly windowStart: number | null;
  readonly windowEnd: number | null;
  readonly lagMs: number;
}

export interface ArrivedRun {
  readonly job: string;
  readonly at: number;
  readonly partitionStart: number;
  readonly partitionEnd: number;
  /** Null: it succeeded. */
  readonly failure: string | null;
  readonly endedAt: number;
}
