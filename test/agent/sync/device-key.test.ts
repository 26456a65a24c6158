import { createUser, fromPublic } from '@nats-io/nkeys';
import { expect, it } from 'vitest';
import { deviceKey } from '@runnel/agent/sync/device-key.ts';

it("is the library's key to the letter, and its proofs verify there", () => {
  for (let count = 0; count < 20; count++) {
    const pair = createUser();
    const key = deviceKey(pair.getSeed());
    expect(key.publicKey).toBe(pair.getPublicKey());
    const signature = Buffer.from(key.proof('nonce é'), 'base64url');
    expect(fromPublic(key.publicKey).verify(Buffer.from('nonce é'), signature)).toBe(true);
  }
});

it('a seed with one wrong letter is told from a whole one', () => {
  const seed = Buffer.from(createUser().getSeed()).toString('ascii');
  const bad = `${seed.slice(0, 20)}${seed[20] === 'A' ? 'B' : 'A'}${seed.slice(21)}`;
  for (const text of [bad, seed.slice(0, -1), seed.toLowerCase(), '']) {
    expect(() => deviceKey(Buffer.from(text))).toThrow(/damaged/);
  }
});
