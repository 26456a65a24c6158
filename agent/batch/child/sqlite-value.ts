/** Values between JSON and SQLite. */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { SqliteValue } from './sqlite-database.ts';

/** A JSON value as one that SQLite stores: maps and lists as JSON texts, booleans as 0 and 1. */
export function bindable(value: Json | undefined): string | number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

/** Integers beyond 2^53 become texts, blobs base64, infinities texts. */
export function jsonOf(value: SqliteValue): Json {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value === null || typeof value === 'string') return value;
  return Buffer.from(value as Uint8Array).toString('base64');
}
