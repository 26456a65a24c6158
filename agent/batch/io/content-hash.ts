/**
 * What a load sends, as SHA-256 hex: the rows of its input and whatever else decides what arrives.
 *
 * The order of the rows does not count, for a query without ORDER BY gives the same rows in another
 * one: their hashes are added up (AdHash; Bellare, Micciancio: A New Paradigm for Collision-Free
 * Hashing, 1997). It tells changes apart, and is no proof against who forges rows.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { TableRef } from '../records.ts';
import { readLines } from '../tables/line-file.ts';
import type { TaskContext } from '../tasks/task.ts';

const WORDS = 8;

/** Throws the signal's reason. */
export async function contentHash(
  table: TableRef,
  { services, signal }: Pick<TaskContext, 'services' | 'signal'>,
  besides: Json,
): Promise<string> {
  const sum = new Uint32Array(WORDS);
  for (const path of services.tables.pathsOf(table)) {
    for await (const lines of readLines(path)) {
      signal.throwIfAborted();
      for (const line of lines) {
        const hash = createHash('sha256').update(line).digest();
        // Of a typed array each sum is cut to 32 bits.
        for (let at = 0; at < WORDS; at++) sum[at] = (sum[at] ?? 0) + hash.readUInt32LE(at * 4);
      }
    }
  }
  const whole = createHash('sha256').update(canonicalJson([besides, table.rows]));
  return whole.update(sum).digest('hex');
}
