/**
 * Enrolment and renewal over HTTP, and renewal over NATS (DESIGN.md §10).
 *
 * `POST /api/v1/enroll` is idempotent by device key. The device proves its key by signing
 * `enrolmentProof(...)`; the private key never leaves it. The device key is a NATS user nkey
 * (`U…`, Ed25519), so that the same key answers the NATS server's nonce.
 */
import { z } from 'zod';
import { signedKeyList } from './desired.ts';
import { versionField } from './version.ts';

/** `rj1.<tokenId>.<secret>.<fingerprint>`: fingerprint is SHA-256 of the root key, base64url. */
export const JOIN_TOKEN = /^rj1\.([a-z0-9]{8,32})\.([A-Za-z0-9_-]{20,64})\.([A-Za-z0-9_-]{43})$/;

export const labels = z.record(
  z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$/),
  z
    .string()
    .max(63)
    .regex(/^[A-Za-z0-9_.-]*$/),
);
export type Labels = z.infer<typeof labels>;

/** One line of text: names are shown in tables, terminals and logs. */
export const agentName = z
  .string()
  .min(1)
  .max(128)
  .regex(
    /^[^\p{Cc}\p{Zl}\p{Zp}]*$/u,
    'the name of an agent must not hold control characters or line breaks; give another name',
  );

export const enrolRequest = z.object({
  v: versionField,
  token: z.string().regex(JOIN_TOKEN),
  /** NATS user public nkey. */
  publicKey: z.string().regex(/^U[A-Z2-7]{55}$/),
  name: agentName,
  labels,
  agentVersion: z.string().max(64),
  platform: z.object({
    os: z.string().max(64),
    arch: z.string().max(64),
    node: z.string().max(64),
  }),
  /** Epoch ms at the device, part of the proof. */
  at: z.number(),
  /** base64url signature over `enrolmentProof`. */
  proof: z.string(),
});
export type EnrolRequest = z.infer<typeof enrolRequest>;

/** The text that a device signs: ties its key to this token, name and time. */
export function enrolmentProof(
  request: Pick<EnrolRequest, 'token' | 'publicKey' | 'name' | 'at'>,
): string {
  return ['runnel-enrol-1', request.token, request.publicKey, request.name, request.at].join('\n');
}

/** Credentials that expire and are renewed at two thirds of their life. */
export const credentials = z.object({
  /** NATS user JWT for the device's public key. */
  jwt: z.string(),
  issuedAt: z.number(),
  expiresAt: z.number(),
  /** `nats://` or `tls://` addresses that devices reach. */
  natsUrls: z.array(z.string()).min(1),
  /** PEM of a private CA for NATS, when there is one. */
  natsCa: z.string().nullable(),
});
export type Credentials = z.infer<typeof credentials>;

export const enrolReply = z.object({
  v: versionField,
  agent: z.string(),
  name: z.string(),
  labels,
  /** False while a person must approve it (same name, other key). */
  approved: z.boolean(),
  rootKey: z.string(),
  keys: signedKeyList,
  credentials: credentials.nullable(),
  heartbeatIntervalMs: z.number().int().positive(),
});
export type EnrolReply = z.infer<typeof enrolReply>;

/** `POST /api/v1/renew/nonce` → `{nonce}`; then `POST /api/v1/renew` with the proof. */
export const renewNonceReply = z.object({ v: versionField, nonce: z.string() });
export const renewRequest = z.object({
  v: versionField,
  agent: z.string(),
  publicKey: z.string(),
  nonce: z.string(),
  /** base64url signature over `renewalProof`. */
  proof: z.string(),
});
export type RenewRequest = z.infer<typeof renewRequest>;

export function renewalProof(agent: string, nonce: string): string {
  return ['runnel-renew-1', agent, nonce].join('\n');
}

export const renewReply = z.object({ v: versionField, keys: signedKeyList, credentials });
export type RenewReply = z.infer<typeof renewReply>;

/** Request on `cp.<agent>.renew`: the connection itself proves the key. */
export const natsRenewRequest = z.object({ v: versionField, agent: z.string() });
