/**
 * The device's key: a NATS user nkey, which is an Ed25519 key in the base-32 dress of NATS
 * (DESIGN.md §10). It proves who the device is to the control plane and to the NATS server.
 *
 * On node:crypto: the library's own pure JavaScript curve costs 15 ms for each signature and each
 * public key on a fast machine, at every start and every connection. Making a key is left to the
 * library.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { RunnelError } from '@runnel/shared/errors.ts';
import { publicKeyText, readSeed } from '@runnel/shared/protocol/nkey.ts';

export interface DeviceKey {
  /** NATS user public nkey, `U…`. */
  readonly publicKey: string;
  /** base64url signature over the text's UTF-8 bytes. */
  proof(text: string): string;
}

const USER = 'U';
/** What DER wants before the 32 bytes of a PKCS#8 Ed25519 private key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** `seed` is the text of a user seed, `SU…`. Errors: `identity_damaged`. */
export function deviceKey(seed: Uint8Array): DeviceKey {
  const read = readSeed(Buffer.from(seed).toString('ascii').trim());
  if (read?.role !== USER) {
    throw new RunnelError('identity_damaged', "the device's key is damaged", {
      hint: 'enrol this device again with a new join token',
    });
  }
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, read.raw]),
    format: 'der',
    type: 'pkcs8',
  });
  const point = Buffer.from(String(createPublicKey(key).export({ format: 'jwk' }).x), 'base64url');
  return {
    publicKey: publicKeyText({ role: USER, raw: point }),
    proof: (text) => sign(null, Buffer.from(text, 'utf8'), key).toString('base64url'),
  };
}
