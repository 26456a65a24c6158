/**
 * Entry of a child process that reads a whole store, so that a damaged file kills the child and
 * not the agent: `node verify-store.js DIR`. Exit code 0: every value was read and every journal
 * block has its checksum. 3: readable but damaged, with the reason on stderr. 4: written by a newer
 * agent. Anything else, and death by a signal, means damage too.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { readBlockHeader } from '../journal/block-format.ts';
import { openCheckpointStore, type CheckpointStore } from './checkpoint-store.ts';
import { DATABASES, FORMAT, decodeVersioned, type DbName } from './store-layout.ts';

export const EXIT_DAMAGED = 3;
export const EXIT_NEWER = 4;

/** Touches every byte of every value; returns how many values it read. */
function readThrough(store: CheckpointStore): number {
  const format = store.get('meta', ['format']);
  if (format !== undefined) decodeVersioned('the store', FORMAT, format);
  let values = 0;
  let checksum = 0;
  for (const db of Object.keys(DATABASES) as DbName[]) {
    for (const { value } of store.range(db, {})) {
      values++;
      if (db === 'journal') readBlockHeader(value, { verify: true });
      else for (let at = 0; at < value.length; at += 512) checksum ^= value[at] ?? 0;
    }
  }
  return checksum >= 0 ? values : -1;
}

async function main(dir: string): Promise<number> {
  // LMDB would create a missing file; an empty one is damage, since the store had been opened.
  if (statSync(join(dir, 'data.mdb')).size === 0) throw new Error('data.mdb is empty');
  const store = openCheckpointStore({
    dir,
    bytesMax: Number.MAX_SAFE_INTEGER,
    monotonicMs: () => systemClock.monotonicMs(),
  });
  try {
    process.stdout.write(`${readThrough(store)} values read\n`);
    return 0;
  } finally {
    await store.close();
  }
}

const [dir] = process.argv.slice(2);
if (dir === undefined) {
  process.stderr.write('usage: verify-store DIR\n');
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await main(dir);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    const newer = error instanceof RunnelError && error.code.endsWith('_format_newer');
    process.exitCode = newer ? EXIT_NEWER : EXIT_DAMAGED;
  }
}
