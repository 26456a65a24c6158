/**
 * Where retention has cut the journal: when the newest record that was dropped had come. Stored in
 * the commits that drop, `['journal']` in `meta`, because the oldest block that is kept cannot
 * tell: after a night without records its first one came long after the last that is gone.
 */
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import { readBlockHeader } from './block-format.ts';

const FORMAT = 1;
const KEY = ['journal'] as const;

/** `nowLast` of the newest block that was dropped; undefined where no drop was noted. */
export function readCut(store: Pick<CheckpointStore, 'get'>): number | undefined {
  const stored = store.get('meta', KEY);
  if (stored === undefined) return undefined;
  return decodeVersioned<{ droppedToMs: number }>('the journal', FORMAT, stored).droppedToMs;
}

export function writeCut(tx: StoreTx, droppedToMs: number): void {
  tx.put('meta', KEY, encodeVersioned(FORMAT, { droppedToMs }));
}

/**
 * Every record that arrived at this time or later is on disk; -Infinity when none was ever dropped.
 */
export function completeFromMs(store: Pick<CheckpointStore, 'get' | 'range'>): number {
  const [first] = store.range('journal', { limit: 1 });
  if (first === undefined) return cutOr(store, -Infinity);
  const header = readBlockHeader(first.value);
  if (header.recordsBefore === 0) return -Infinity;
  // Journals of an earlier release have no note: what was dropped may have come just before.
  return cutOr(store, header.nowFirst) + 1;
}

function cutOr(store: Pick<CheckpointStore, 'get'>, otherwise: number): number {
  return readCut(store) ?? otherwise;
}
