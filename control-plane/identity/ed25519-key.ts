/** Ed25519 private keys from 32 bytes of randomness, as the protocol uses them (signing.ts). */
import { type KeyObject, createPrivateKey, createPublicKey, sign } from 'node:crypto';

/** What DER wants before the 32 bytes of a PKCS#8 Ed25519 private key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

export class Ed25519Key {
  readonly #private: KeyObject;
  /** Raw public key, base64url. */
  readonly publicKey: string;

  /** `seed`: 32 bytes, base64url. */
  constructor(seed: string) {
    const der = Buffer.concat([PKCS8_PREFIX, Buffer.from(seed, 'base64url')]);
    this.#private = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    this.publicKey = String(createPublicKey(this.#private).export({ format: 'jwk' }).x);
  }

  /** base64url over the text's UTF-8 bytes. */
  sign(text: string): string {
    return this.signBytes(Buffer.from(text, 'utf8')).toString('base64url');
  }

  signBytes(bytes: Uint8Array): Buffer {
    return sign(null, bytes, this.#private);
  }
}
