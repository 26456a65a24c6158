/** A store that passes everything on but commits, of which `commit` decides. */
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';

export function storeAround(
  store: CheckpointStore,
  commit: CheckpointStore['commit'],
): CheckpointStore {
  return {
    get: (db, key) => store.get(db, key),
    read: (db, key, use) => store.read(db, key, use),
    has: (db, key) => store.has(db, key),
    range: (db, range) => store.range(db, range),
    keys: (db, range) => store.keys(db, range),
    usedBytes: (db) => store.usedBytes(db),
    close: () => store.close(),
    commit,
  };
}
