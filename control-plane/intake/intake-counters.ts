/** What came in and what was refused, by reason; for `/metrics`. */
import type { ResultBlock } from '@runnel/shared/protocol/results.ts';
import type { RequestKind } from '@runnel/shared/protocol/subjects.ts';
import type { Applied } from './apply-block.ts';

/** Reasons are stable codes; this bounds them all the same. */
const REASONS_MAX = 100;

export class IntakeCounters {
  readonly requests = new Map<RequestKind, number>();
  readonly droppedByReason = new Map<string, number>();
  readonly blocks: Record<Applied['outcome'], number> = {
    applied: 0,
    duplicate: 0,
    gap: 0,
    raced: 0,
  };
  rows = 0;
  /** Rows at or below the mark: sent again, and not stored again. */
  rowsResent = 0;
  /** Rows that agents declared lost. */
  lost = 0;
  /** Reports of runs that did not parse. */
  runReportsRefused = 0;

  request(kind: RequestKind): void {
    this.requests.set(kind, (this.requests.get(kind) ?? 0) + 1);
  }

  dropped(reason: string): void {
    const full = this.droppedByReason.size >= REASONS_MAX && !this.droppedByReason.has(reason);
    const key = full ? 'other' : reason;
    this.droppedByReason.set(key, (this.droppedByReason.get(key) ?? 0) + 1);
  }

  block(block: ResultBlock, applied: Applied): void {
    this.blocks[applied.outcome] += 1;
    this.rows += applied.rows.length;
    this.lost += applied.lost;
    this.runReportsRefused += applied.runs?.refused ?? 0;
    const notNew =
      applied.outcome === 'applied'
        ? block.rows.length - applied.rows.length
        : block.rows.filter(({ seq }) => seq <= applied.mark).length;
    this.rowsResent += notNew;
  }
}
