/** Secrets that come again: used up, expired, revoked, overheard, replayed. */
import { decode } from '@nats-io/jwt';
import { describe, expect, it } from 'vitest';
import { revokeToken } from '@runnel/control-plane/store/tokens.ts';
import type { Role } from '@runnel/control-plane/identity/people.ts';
import { renewalProof } from '@runnel/shared/protocol/enrolment.ts';
import { enrolRequestOf, newDeviceKey } from '../../support/nats.ts';
import { openWorld, type World } from './identity-world.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
const LYON = { site: 'lyon' };

const enrolled = async ({ store }: World, agent: string) =>
  await store.db
    .selectFrom('agents')
    .select(['name', 'labels', 'fixed_labels'])
    .where('id', '=', agent)
    .executeTakeFirstOrThrow();

const usesOf = async ({ store }: World, token: string): Promise<number> => {
  const id = token.split('.')[1]!;
  const row = store.db.selectFrom('join_tokens').select('uses').where('id', '=', id);
  return (await row.executeTakeFirstOrThrow()).uses;
};

describe('a join token that is over', () => {
  it.each(['used up', 'expired', 'revoked'] as const)('(%s) lets no new device in', async (end) => {
    const world = await openWorld();
    const { identity, store, pass } = world;
    const token = await world.token({ usesMax: 1, expiresMs: DAY_MS });
    await identity.enrol(enrolRequestOf(newDeviceKey(), token));
    if (end === 'expired') pass(DAY_MS);
    if (end === 'revoked') await revokeToken(store.db, token.split('.')[1]!, 1);
    const code = `token_${end.replace(' ', '_')}`;
    const late = identity.enrol(enrolRequestOf(newDeviceKey(), token));
    await expect(late).rejects.toMatchObject({ code });
    expect(await store.db.selectFrom('agents').select('id').execute()).toHaveLength(1);
    expect(await usesOf(world, token)).toBe(1);
  });

  it('gives the device that has it its credentials again, and nothing else', async () => {
    const world = await openWorld();
    const { identity, pass } = world;
    const token = await world.token({ expiresMs: DAY_MS });
    const key = newDeviceKey();
    const asked = { name: 'press-1', labels: { line: 'a' } };
    const { agent } = await identity.enrol(enrolRequestOf(key, token, asked));
    const other = { name: 'press-9', labels: { line: 'b' } };
    pass(DAY_MS);
    const again = await identity.enrol(enrolRequestOf(key, token, other));
    expect(again).toMatchObject({ agent, ...asked, approved: true });
    expect(again.credentials).not.toBeNull();
    expect((await enrolled(world, agent)).name).toBe('press-1');
  });

  it('does not let even that device in once it was revoked', async () => {
    const world = await openWorld();
    const token = await world.token();
    const request = enrolRequestOf(newDeviceKey(), token);
    await world.identity.enrol(request);
    await revokeToken(world.store.db, token.split('.')[1]!, 1);
    await expect(world.identity.enrol(request)).rejects.toMatchObject({ code: 'token_revoked' });
  });
});

describe('labels that a token fixes', () => {
  it('cannot be taken with a token that others used up, or that expired', async () => {
    const world = await openWorld();
    const { identity, pass } = world;
    const lyon = await world.token({ labels: LYON, usesMax: 1, expiresMs: DAY_MS });
    await identity.enrol(enrolRequestOf(newDeviceKey(), lyon));
    const key = newDeviceKey();
    const { agent } = await identity.enrol(enrolRequestOf(key, await world.token()));
    for (const ms of [0, DAY_MS]) {
      pass(ms);
      const reply = await identity.enrol(enrolRequestOf(key, lyon));
      expect(reply).toMatchObject({ agent, labels: {} });
    }
    expect(await enrolled(world, agent)).toMatchObject({ labels: '{}', fixed_labels: '[]' });
  });

  it('cost a known device a use, once', async () => {
    const world = await openWorld();
    const { identity } = world;
    const key = newDeviceKey();
    const { agent } = await identity.enrol(enrolRequestOf(key, await world.token()));
    const lyon = await world.token({ labels: LYON, usesMax: 1 });
    for (let time = 0; time < 3; time++) {
      const reply = await identity.enrol(enrolRequestOf(key, lyon));
      expect(reply).toMatchObject({ agent, labels: LYON });
    }
    expect(await usesOf(world, lyon)).toBe(1);
    const late = identity.enrol(enrolRequestOf(newDeviceKey(), lyon));
    await expect(late).rejects.toMatchObject({ code: 'token_used_up' });
  });
});

describe('what was overheard', () => {
  it('at enrolment gives credentials that only the key of the device can use', async () => {
    const world = await openWorld();
    const key = newDeviceKey();
    const request = enrolRequestOf(key, await world.token());
    const first = await world.identity.enrol(request);
    const replayed = await world.identity.enrol(structuredClone(request));
    expect(replayed.agent).toBe(first.agent);
    expect(decode(replayed.credentials!.jwt).sub).toBe(key.publicKey);
    const stolen = { ...request, publicKey: newDeviceKey().publicKey };
    await expect(world.identity.enrol(stolen)).rejects.toMatchObject({ code: 'proof_invalid' });
  });

  it('of a renewal proves nothing for another nonce, agent or key, nor later', async () => {
    const world = await openWorld();
    const { identity, pass } = world;
    const token = await world.token();
    const [key, other] = [newDeviceKey(), newDeviceKey()];
    const { agent } = await identity.enrol(enrolRequestOf(key, token));
    const stranger = await identity.enrol(enrolRequestOf(other, token));
    const nonce = identity.renewNonce();
    const { publicKey } = key;
    const heard = { v: 1, agent, publicKey, nonce, proof: key.prove(renewalProof(agent, nonce)) };
    const request = heard as typeof heard & { v: 1 };
    // Sent twice, it gives what it gave before: credentials for the same key and no other.
    for (let time = 0; time < 2; time++) {
      const { credentials } = await identity.renew(request);
      expect(decode(credentials.jwt)).toMatchObject({ sub: publicKey, name: agent });
    }
    const refused = async (change: Partial<typeof request>, code: string): Promise<void> => {
      const bent = identity.renew({ ...request, ...change });
      await expect(bent, JSON.stringify(change)).rejects.toMatchObject({ code });
    };
    await refused({ nonce: identity.renewNonce() }, 'proof_invalid');
    await refused({ agent: stranger.agent }, 'proof_invalid');
    await refused({ publicKey: other.publicKey }, 'proof_invalid');
    await refused({ proof: other.prove(renewalProof(agent, nonce)) }, 'proof_invalid');
    // Another's own proof, for this agent: it holds, but the key is not the agent's.
    const forged = { proof: other.prove(renewalProof(agent, nonce)), publicKey: other.publicKey };
    await refused(forged, 'proof_invalid');
    await refused({ nonce: '' }, 'nonce_invalid');
    await refused({ nonce: `${nonce}.x`, proof: '' }, 'proof_invalid');
    pass(5 * MINUTE_MS + 1);
    await refused({}, 'nonce_expired');
    await identity.revoke(agent);
    const fresh = identity.renewNonce();
    const proof = key.prove(renewalProof(agent, fresh));
    await refused({ nonce: fresh, proof }, 'agent_revoked');
  });
});

describe('a sign-in link', () => {
  /** The secret of a session; undefined when the link gave none. */
  const signIn = async ({ identity }: World, role: Role, tokenId: string | null) => {
    const { code } = await identity.createSignInLink(role, tokenId);
    return (await identity.redeemSignInLink(code))?.secret;
  };
  const apiToken = async ({ identity }: World, expiresMs: number | null = null) =>
    await identity.createApiToken({ role: 'operator', name: 'x', expiresMs, createdBy: 'test' });

  it('that two browsers open at once lets one in', async () => {
    const { identity } = await openWorld();
    const { code } = await identity.createSignInLink('admin');
    const both = await Promise.all([1, 2, 3].map(() => identity.redeemSignInLink(code)));
    expect(both.filter((session) => session !== undefined)).toHaveLength(1);
  });

  it('gives nothing once its token was revoked or has expired', async () => {
    const world = await openWorld();
    const { identity, store, pass } = world;
    const made = await apiToken(world, 10 * MINUTE_MS);
    const [early, late] = [
      await identity.createSignInLink('operator', made.id),
      await identity.createSignInLink('operator', made.id),
    ];
    const session = (await identity.redeemSignInLink(early.code))!.secret;
    pass(10 * MINUTE_MS);
    expect(await identity.verifySession(session)).toBeUndefined();
    expect(await identity.redeemSignInLink(late.code)).toBeUndefined();

    const other = await apiToken(world);
    const link = await identity.createSignInLink('operator', other.id);
    await revokeToken(store.db, other.id, 1);
    expect(await identity.redeemSignInLink(link.code)).toBeUndefined();
    // A request that was under way as the token ended.
    expect(await signIn(world, 'operator', other.id)).toBeUndefined();
  });

  it('that a session made ends with the token that the session came from', async () => {
    const world = await openWorld();
    const { identity, store } = world;
    const made = await apiToken(world);
    let secret = (await signIn(world, 'operator', made.id))!;
    for (let times = 0; times < 3; times++) {
      const { role, tokenId } = (await identity.verifySession(secret))!;
      secret = (await signIn(world, role, tokenId))!;
    }
    expect(await identity.verifySession(secret)).toMatchObject({ role: 'operator' });
    await revokeToken(store.db, made.id, 1);
    expect(await identity.verifySession(secret)).toBeUndefined();
  });
});
