/** Rows that the outbox lost, by lane and reason; those of a commit count once it is on disk. */
import { type Lane, LANES } from '@runnel/shared/protocol/results.ts';

type Reason = 'overflow' | 'too_large';
type Counts = Record<Reason, number>;

export class LostRows {
  readonly #all = ofLanes((): Counts => ({ overflow: 0, too_large: 0 }));
  #staged = ofLanes((): Counts => ({ overflow: 0, too_large: 0 }));

  add(lane: Lane, reason: Reason, rows: number): void {
    this.#staged[lane][reason] += rows;
  }

  /** Whether the commit drops rows by the bound. */
  get hasOverflow(): boolean {
    return LANES.some((lane) => this.#staged[lane].overflow > 0);
  }

  committed(): void {
    for (const lane of LANES) {
      this.#all[lane].overflow += this.#staged[lane].overflow;
      this.#all[lane].too_large += this.#staged[lane].too_large;
    }
    this.reload();
  }

  /** Forgets what is not on disk. */
  reload(): void {
    this.#staged = ofLanes(() => ({ overflow: 0, too_large: 0 }));
  }

  /** Since the process started. */
  get rows(): number {
    return LANES.reduce(
      (sum, lane) => sum + this.#all[lane].overflow + this.#all[lane].too_large,
      0,
    );
  }

  /** In all, and by lane and reason where there were any. */
  counters(): Record<string, number> {
    const counters: Record<string, number> = { outbox_rows_lost: this.rows };
    for (const lane of LANES) {
      for (const [reason, rows] of Object.entries(this.#all[lane])) {
        if (rows > 0) counters[`outbox_rows_lost_${lane}_${reason}`] = rows;
      }
    }
    return counters;
  }
}

export function ofLanes<T>(make: (lane: Lane) => T): Record<Lane, T> {
  return {
    alerts: make('alerts'),
    urgent: make('urgent'),
    results: make('results'),
    bulk: make('bulk'),
  };
}
