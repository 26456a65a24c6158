/**
 * Branded identifiers and units: a value of one kind cannot be passed for another.
 */
import type { Random } from './random.ts';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = Branded<number, 'EpochMs'>;
/** A length of time in milliseconds. */
export type DurationMs = Branded<number, 'DurationMs'>;
/** Random id of a device, made by the control plane; its name is only a label. */
export type AgentId = Branded<string, 'AgentId'>;
/** Name of a job: `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`. */
export type JobName = Branded<string, 'JobName'>;
/** Random id of one agent process; outbox rows keep the one in which they were made. */
export type Epoch = Branded<string, 'Epoch'>;

/** What may stand as one token of a NATS subject. */
export const SUBJECT_TOKEN = /^[A-Za-z0-9_-]+$/;
/** Names of jobs, datasets, sources and steps in documents. */
export const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** A random id over Crockford's base 32 in lower case: 5 bits a character, 20 give 100 bits. */
export function randomId(random: Random, length = 20): string {
  let id = '';
  for (const byte of random.bytes(length)) id += ALPHABET[byte & 31];
  return id;
}

export const epochMs = (value: number): EpochMs => value as EpochMs;
export const durationMs = (value: number): DurationMs => value as DurationMs;
