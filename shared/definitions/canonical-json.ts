/**
 * JSON with one spelling per value: keys sorted by code unit, no white space, numbers in the
 * shortest form that reads back the same. The hash of a job version is made over it, so two
 * documents that differ only in layout, comments or the order of keys are one version.
 */
import { createHash } from 'node:crypto';
import { RunnelError } from '../errors.ts';

/** Throws `not_json` for what JSON cannot hold: NaN, infinities, undefined, functions, BigInt. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw notJson(value);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object') throw notJson(value);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
  return `{${entries.join(',')}}`;
}

/** SHA-256 over the canonical JSON, in hex. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

function notJson(value: unknown): RunnelError {
  return new RunnelError('not_json', `${String(value)} cannot stand in JSON`);
}
