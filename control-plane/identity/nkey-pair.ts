/**
 * A key pair of NATS that signs with node:crypto. The library's curve in JavaScript costs 15 ms for
 * each signature and each public key, and the JWT of one device takes five of them: the enrolment
 * of a fleet would be little else. What is rare is left to the library.
 */
import { fromSeed, type KeyPair } from '@nats-io/nkeys';
import { RunnelError } from '@runnel/shared/errors.ts';
import { publicKeyText, readSeed } from '@runnel/shared/protocol/nkey.ts';
import { Ed25519Key } from './ed25519-key.ts';

/** Error `keys_unreadable`: the text is no seed. */
export function nkeyPair(seed: string): KeyPair {
  const read = readSeed(seed);
  if (read === undefined) throw new RunnelError('keys_unreadable', 'a seed of NATS is damaged');
  const pair = fromSeed(Buffer.from(seed, 'utf8'));
  const key = new Ed25519Key(read.raw.toString('base64url'));
  const raw = Buffer.from(key.publicKey, 'base64url');
  const publicKey = publicKeyText({ role: read.role, raw });
  let privateKey: Uint8Array | undefined;
  return {
    getPublicKey: () => publicKey,
    getPrivateKey: () => (privateKey ??= pair.getPrivateKey()),
    getSeed: () => pair.getSeed(),
    sign: (input) => key.signBytes(input),
    verify: (input, signature) => pair.verify(input, signature),
    clear: () => pair.clear(),
    seal: (input, recipient, nonce) => pair.seal(input, recipient, nonce),
    open: (input, sender) => pair.open(input, sender),
  };
}
