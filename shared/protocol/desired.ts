/**
 * Desired state, signed (DESIGN.md §10, I9). `payload` is the exact JSON text that was signed, so
 * that no re-serialisation can break or bend a signature.
 *
 * Trust: the join token carries the SHA-256 fingerprint of the control plane's root key, which the
 * agent pins. The root key signs a monotonic list of signing keys; these sign desired documents.
 * All keys are raw Ed25519 public keys in base64url; signatures are base64url over UTF-8 bytes.
 */
import { z } from 'zod';
import { versionField } from './version.ts';

export const desiredJob = z.object({
  name: z.string(),
  version: z.number().int().positive(),
  /** SHA-256 of the canonical document, hex. */
  hash: z.string(),
  /** The job document as parsed JSON, as the person wrote it (defaults not filled in). */
  document: z.unknown(),
  /** Effective parameters for this agent. */
  parameters: z.record(z.string(), z.unknown()),
  paused: z.boolean().default(false),
});
export type DesiredJob = z.infer<typeof desiredJob>;

export const desiredDocument = z.object({
  v: versionField,
  agent: z.string(),
  /** Monotonic per agent; a lower one is refused. */
  revision: z.number().int().nonnegative(),
  issuedAt: z.number(),
  jobs: z.array(desiredJob),
  tables: z.array(z.object({ name: z.string(), version: z.number().int(), hash: z.string() })),
  heartbeatIntervalMs: z.number().int().positive(),
});
export type DesiredDocument = z.infer<typeof desiredDocument>;

export const signingKeyList = z.object({
  v: versionField,
  /** Monotonic; a lower one than the agent has is refused. */
  sequence: z.number().int().positive(),
  root: z.string(),
  keys: z.array(z.object({ id: z.string(), publicKey: z.string() })).min(1),
});
export type SigningKeyList = z.infer<typeof signingKeyList>;

/** `payload` is the JSON text of a `signingKeyList`, signed by its root key. */
export const signedKeyList = z.object({ payload: z.string(), signature: z.string() });
export type SignedKeyList = z.infer<typeof signedKeyList>;

/** `payload` is the JSON text of a `desiredDocument`, signed by the key `keyId` of `keys`. */
export const signedDesired = z.object({
  v: versionField,
  payload: z.string(),
  keyId: z.string(),
  signature: z.string(),
  keys: signedKeyList,
});
export type SignedDesired = z.infer<typeof signedDesired>;

/** Request on `cp.<agent>.desired`. */
export const desiredRequest = z.object({
  v: versionField,
  agent: z.string(),
  /** Hash (SHA-256 hex of the payload) of what it has, empty when nothing. */
  hash: z.string(),
  /** Revision it has applied or refused last; the control plane issues only higher ones. */
  revision: z.number().int().nonnegative(),
  /** Revision it was told of by a `changed` command; a replica that is behind answers `retry`. */
  told: z.number().int().nonnegative(),
});
export type DesiredRequest = z.infer<typeof desiredRequest>;

export const desiredReply = z.discriminatedUnion('status', [
  z.object({ v: versionField, status: z.literal('same') }),
  z.object({ v: versionField, status: z.literal('retry') }),
  z.object({ v: versionField, status: z.literal('new'), desired: signedDesired }),
]);
export type DesiredReply = z.infer<typeof desiredReply>;

/** Command `fleet.<agent>.cmd.changed`. */
export const changedCommand = z.object({ v: versionField, revision: z.number().int() });
