/**
 * The device's proofs: what it signs to show that it holds its key (DESIGN.md §10).
 */
import { fromSeed } from '@nats-io/nkeys';

export interface DeviceKey {
  /** NATS user public nkey, `U…`. */
  readonly publicKey: string;
  /** base64url signature over the text's UTF-8 bytes. */
  proof(text: string): string;
}

export function deviceKey(seed: Uint8Array): DeviceKey {
  const pair = fromSeed(seed);
  return {
    publicKey: pair.getPublicKey(),
    proof: (text) => Buffer.from(pair.sign(Buffer.from(text, 'utf8'))).toString('base64url'),
  };
}
