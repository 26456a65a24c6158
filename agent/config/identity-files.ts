/**
 * Who this device is, on disk: its key, its credentials and whom it trusts (DESIGN.md §10).
 *
 * Guarantees: the directory is 0700 and its files 0600; the key is on disk before anything is
 * asked with it, so that a crash in between repeats with the same key; each file carries a
 * version and is parsed on read. The private key never leaves the device.
 *
 * Layout of `identity/`: `device.seed` is the NATS user seed as text; `credentials.json` is
 * `{v, ...credentials}` or absent before approval; `trust.json` is `{v, keys, revision}` with the
 * newest list of signing keys that the pinned root signed, and the highest revision of desired
 * state that was accepted (0 where an earlier release wrote none).
 */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { signedKeyList, type SignedKeyList } from '@runnel/shared/protocol/desired.ts';
import { type Credentials, credentials } from '@runnel/shared/protocol/enrolment.ts';
import { parseMessage, versionField } from '@runnel/shared/protocol/version.ts';
import type { DataFiles } from './data-files.ts';
import { isMissing, writeDurably } from './durable-file.ts';

const SECRET = 0o600;
const storedCredentials = credentials.extend({ v: versionField });
const storedTrust = z.object({
  v: versionField,
  keys: signedKeyList,
  revision: z.int().min(0).default(0),
});

export interface Trust {
  readonly keys: SignedKeyList;
  readonly revision: number;
}

/** The device key; made and stored durably when there is none. */
export async function ensureSeed(files: DataFiles): Promise<Uint8Array> {
  const existing = await readSeed(files);
  if (existing !== null) return existing;
  await mkdir(files.identityDir, { recursive: true, mode: 0o700 });
  await chmod(files.identityDir, 0o700);
  const { createUser } = await import('@nats-io/nkeys');
  const seed = createUser().getSeed();
  await writeDurably(files.seed, `${Buffer.from(seed).toString('ascii')}\n`, SECRET);
  return seed;
}

/** Null when there is none. Errors: `identity_damaged`. */
export async function readSeed(files: DataFiles): Promise<Uint8Array | null> {
  const text = await readIfThere(files.seed);
  if (text === null) return null;
  const seed = text.trim();
  if (/^SU[A-Z2-7]{56}$/.test(seed)) return Buffer.from(seed, 'ascii');
  throw damaged(files.seed, 'it does not hold the seed of a device key');
}

/** Null before approval. Errors: `identity_damaged`. */
export async function readCredentials(files: DataFiles): Promise<Credentials | null> {
  return readJson(files.credentials, storedCredentials);
}

export async function writeCredentials(files: DataFiles, value: Credentials): Promise<void> {
  const text = JSON.stringify({ v: 1, ...value }, null, 2);
  await writeDurably(files.credentials, `${text}\n`, SECRET);
}

/** What was accepted, or null. Errors: `identity_damaged`. */
export async function readTrust(files: DataFiles): Promise<Trust | null> {
  return readJson(files.trust, storedTrust);
}

export async function writeTrust(files: DataFiles, { keys, revision }: Trust): Promise<void> {
  const text = JSON.stringify({ v: 1, keys, revision }, null, 2);
  await writeDurably(files.trust, `${text}\n`, SECRET);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function readJson<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T> | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  try {
    return parseMessage(schema, JSON.parse(text));
  } catch (error) {
    throw damaged(path, messageOf(error), error);
  }
}

function damaged(path: string, why: string, cause?: unknown): RunnelError {
  return new RunnelError('identity_damaged', `${path} is damaged: ${why}`, {
    cause,
    hint: 'enrol this device again with a new join token',
  });
}
