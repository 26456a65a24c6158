/**
 * What is stored of a promise, format 1: `meta`, `['sla', job, name]`. It holds the verdict and
 * since when, and what the runtime does not remember itself, so that a restart loses neither: a
 * bound that was passed while the agent was off is found passed when it is back.
 */
import type { SlaState } from '@runnel/shared/sla/sla-state.ts';
import type { StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import type { RateWindow } from './rate-window.ts';

const SLA_FORMAT = 1;

export interface SlaRecord {
  readonly kind: string;
  readonly state: SlaState;
  /** Since when it is promised here. */
  readonly sinceAt: number;
  /** When to look again, as it was judged last; null: not by time alone. */
  readonly nextAt: number | null;
  /** Of a stream job: when outputs were seen to grow last, and the totals then. */
  readonly lastAt: number | null;
  readonly outputs: number;
  readonly rate: RateWindow | null;
  /** Of a batch job: newest time that a successful run stands for, and when it ended. */
  readonly doneUpTo: number | null;
  readonly lastSuccessAt: number | null;
}

export function slaKey(job: string, name: string): [string, string, string] {
  return ['sla', job, name];
}

export function putSla(tx: StoreTx, job: string, name: string, record: SlaRecord): void {
  tx.put('meta', slaKey(job, name), encodeVersioned(SLA_FORMAT, record));
}

export function decodeSla(bytes: Uint8Array): SlaRecord {
  return decodeVersioned<SlaRecord>('a promise', SLA_FORMAT, bytes);
}
