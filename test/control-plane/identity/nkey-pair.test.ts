import { decode, encodeUser } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, fromPublic } from '@nats-io/nkeys';
import { expect, it } from 'vitest';
import { nkeyPair } from '@runnel/control-plane/identity/nkey-pair.ts';
import { readPublicKey, readSeed } from '@runnel/shared/protocol/nkey.ts';

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('ascii');

it.each([
  ['a user', createUser],
  ['an account', createAccount],
  ['an operator', createOperator],
])("of %s is the library's to the letter, and its signatures verify there", (_what, create) => {
  for (let count = 0; count < 10; count += 1) {
    const theirs = create();
    const ours = nkeyPair(textOf(theirs.getSeed()));
    expect(ours.getPublicKey()).toBe(theirs.getPublicKey());
    expect(textOf(ours.getSeed())).toBe(textOf(theirs.getSeed()));
    expect(textOf(ours.getPrivateKey())).toBe(textOf(theirs.getPrivateKey()));
    const text = Buffer.from(`text ${count}`);
    expect(Buffer.from(ours.sign(text))).toEqual(Buffer.from(theirs.sign(text)));
    expect(fromPublic(ours.getPublicKey()).verify(text, ours.sign(text))).toBe(true);
    expect(readPublicKey(ours.getPublicKey())?.role).toBe(ours.getPublicKey()[0]);
  }
});

it('signs JWTs that the library takes', async () => {
  const account = nkeyPair(textOf(createAccount().getSeed()));
  const signer = nkeyPair(textOf(createAccount().getSeed()));
  const user = createUser().getPublicKey();
  const jwt = await encodeUser('press-1', user, account, {}, { signer, scopedUser: true });
  expect(decode(jwt)).toMatchObject({ name: 'press-1', sub: user, iss: signer.getPublicKey() });
});

it('tells damaged texts from whole ones', () => {
  const pair = createUser();
  const [seed, key] = [textOf(pair.getSeed()), pair.getPublicKey()];
  const damaged = (text: string): string[] => [
    `${text.slice(0, 20)}${text[20] === 'A' ? 'B' : 'A'}${text.slice(21)}`,
    text.slice(0, -1),
    text.toLowerCase(),
    '',
  ];
  for (const text of damaged(seed)) {
    expect(readSeed(text)).toBeUndefined();
    expect(() => nkeyPair(text)).toThrow(/damaged/);
  }
  for (const text of damaged(key)) expect(readPublicKey(text)).toBeUndefined();
  expect(readSeed(key)).toBeUndefined();
  expect(readPublicKey(seed)).toBeUndefined();
});
