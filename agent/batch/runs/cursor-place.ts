/**
 * Where an instance of a task finds what its last success left: its cursor and its measurements.
 *
 * Guarantees: what reads different things never shares one. A partition's key and an item of
 * `forEach` each have their own; an item is known by what it is (SHA-256 of its canonical JSON),
 * not by where it stands, so that a list that grows, shrinks or is sorted otherwise moves nobody's
 * cursor to another. Equal items of one list read the same and share.
 *
 * A run of a backfill makes old partitions whole: it reads from the start (no cursor), and moves
 * no cursor. It measures against what backfills measured, not against the live history.
 */
import { contentHash } from '@runnel/shared/definitions/canonical-json.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { RunRecord } from '../records.ts';
import type { BatchKey, BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';

export interface CursorPlace {
  /** Null: none is used and none is moved. */
  readonly cursor: BatchKey | null;
  readonly history: BatchKey;
}

export function cursorPlace(
  { job, partition, backfill }: Pick<RunRecord, 'job' | 'partition' | 'backfill'>,
  task: string,
  instance: { readonly index: number | null; readonly item: Json },
): CursorPlace {
  const item = instance.index === null ? '' : contentHash(instance.item).slice(0, 32);
  const key = partition.key ?? '';
  return {
    cursor: backfill === null ? keys.cursor(job, task, key, item) : null,
    history: keys.quality(job, task, key, item, backfill === null ? 'live' : 'backfill'),
  };
}

/**
 * Keeps a task to `limits.taskCursorsMax`: call before a record is put under `key`. Those that the
 * oldest runs set go, and returned is how many; who needs one again reads from the start.
 */
export function makeRoom(store: BatchStore, tx: BatchTx, key: BatchKey): number {
  if (store.has(key)) return 0;
  const prefix = key.slice(0, 3);
  const over = store.keys(prefix).length + 1 - limits.taskCursorsMax;
  if (over <= 0) return 0;
  const oldest = store
    .list<{ readonly n: number }>(prefix)
    .toSorted((a, b) => a.value.n - b.value.n);
  // A tenth at once, so that not every new item goes through all of them.
  const gone = oldest.slice(0, over + Math.floor(limits.taskCursorsMax / 10));
  for (const each of gone) tx.remove(each.key);
  return gone.length;
}
