/** Counts what a source took in, recognised and dropped, for its report. */
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';

export class SourceTally {
  records = 0;
  bytes = 0;
  redelivered = 0;
  error: string | null = null;
  connected = false;
  readonly #dropped: Record<string, number> = {};

  drop(reason: string, count = 1): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
  }

  report(id: string, kind: string): SourceReport {
    const { connected, records, bytes, redelivered, error } = this;
    return { id, kind, connected, records, bytes, redelivered, dropped: this.#dropped, error };
  }
}
