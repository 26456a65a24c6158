/**
 * Ed25519 as the protocol uses it: keys are raw 32-byte public keys in base64url, signatures are
 * base64url over the UTF-8 bytes of the exact text that was signed.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';

/** SHA-256 of the root key's 32 raw bytes, base64url: what a join token carries. */
export function rootFingerprint(rootKey: string): string {
  return createHash('sha256').update(Buffer.from(rootKey, 'base64url')).digest('base64url');
}

/** SHA-256 of a text's UTF-8 bytes in hex: hashes of desired documents. */
export function textHash(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** False for a wrong signature and for a key or signature that is none at all; never throws. */
export function verifySignature(publicKey: string, text: string, signature: string): boolean {
  const raw = Buffer.from(publicKey, 'base64url');
  const bytes = Buffer.from(signature, 'base64url');
  if (raw.byteLength !== 32 || bytes.byteLength !== 64) return false;
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
  return verify(null, Buffer.from(text, 'utf8'), key, bytes);
}
