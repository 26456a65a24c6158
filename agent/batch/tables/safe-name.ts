/**
 * File names made of what a document names: partitions, datasets, tasks. Injective, readable, at
 * most 160 characters, never `.` or `..`, with nothing that a file system could take for a path.
 */
import { createHash } from 'node:crypto';

const CHARS_MAX = 160;
const HASH_CHARS = 24;

export function safeName(name: string): string {
  const escaped = name.replaceAll(/[^A-Za-z0-9_.+-]/gu, (char) =>
    [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  const safe = escaped.replace(/^\./, '%2e');
  if (safe.length > 0 && safe.length <= CHARS_MAX) return safe;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_CHARS);
  return `${safe.slice(0, CHARS_MAX - HASH_CHARS - 1)}%${hash}`;
}
