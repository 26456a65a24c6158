import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from '@nats-io/jwt';
import { describe, expect, it } from 'vitest';
import { Identity } from '@runnel/control-plane/identity/identity.ts';
import { KeyRing } from '@runnel/control-plane/identity/key-ring.ts';
import { includesRole } from '@runnel/control-plane/identity/people.ts';
import { pageEvents } from '@runnel/control-plane/store/events.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { signingKeyList } from '@runnel/shared/protocol/desired.ts';
import { renewalProof } from '@runnel/shared/protocol/enrolment.ts';
import { rootFingerprint, verifySignature } from '@runnel/shared/protocol/signing.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { limits } from '@runnel/shared/limits.ts';
import { enrolRequestOf, newDeviceKey, silentLog } from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openWorld } from './identity-world.ts';

const DAY_MS = 24 * 3_600_000;

describe('enrolment', () => {
  it('is idempotent by device key and costs one use', async () => {
    const { identity, token } = await openWorld();
    const once = await token({ usesMax: 1 });
    const key = newDeviceKey();
    const first = await identity.enrol(enrolRequestOf(key, once));
    const again = await identity.enrol(enrolRequestOf(key, once));
    expect(again.agent).toBe(first.agent);
    await expect(identity.enrol(enrolRequestOf(newDeviceKey(), once))).rejects.toMatchObject({
      code: 'token_used_up',
      message: 'the join token was used already (1 of 1)',
    });
  });

  it('of two devices for the last use lets one in', async () => {
    const { identity, token } = await openWorld();
    const once = await token({ usesMax: 1 });
    const both = [newDeviceKey(), newDeviceKey()].map((key) =>
      identity.enrol(enrolRequestOf(key, once)),
    );
    const results = await Promise.allSettled(both);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('accepts labels of the device, except those that the token fixes', async () => {
    const { identity, token } = await openWorld();
    const fixing = await token({ labels: { site: 'lyon' } });
    const request = enrolRequestOf(newDeviceKey(), fixing, {
      labels: { site: 'turin', role: 'press' },
    });
    expect((await identity.enrol(request)).labels).toEqual({ site: 'lyon', role: 'press' });
  });

  it('of a taken name with another key waits until a person approves', async () => {
    const { identity, token } = await openWorld();
    const any = await token();
    await identity.enrol(enrolRequestOf(newDeviceKey(), any, { name: 'press-1' }));
    const key = newDeviceKey();
    const request = enrolRequestOf(key, any, { name: 'press-1' });
    const waiting = await identity.enrol(request);
    expect(waiting).toMatchObject({ approved: false, credentials: null });
    await expect(identity.renewOverNats(waiting.agent)).rejects.toMatchObject({
      code: 'agent_pending',
    });
    await identity.approve(waiting.agent);
    const approved = await identity.enrol(request);
    expect(approved.agent).toBe(waiting.agent);
    expect(approved.credentials).not.toBeNull();
    await expect(identity.approve(waiting.agent)).rejects.toMatchObject({
      code: 'agent_not_pending',
    });
  });

  it('again under the name of another device leaves both their names', async () => {
    const { identity, store, token } = await openWorld();
    const any = await token();
    const victim = newDeviceKey();
    await identity.enrol(enrolRequestOf(victim, any, { name: 'press-1' }));
    const key = newDeviceKey();
    const { agent } = await identity.enrol(enrolRequestOf(key, any, { name: 'press-2' }));
    const labels = { line: 'b' };
    const request = enrolRequestOf(key, any, { name: 'press-1', labels });
    expect(await identity.enrol(request)).toMatchObject({ agent, name: 'press-2', labels });
    const [event] = await pageEvents(store.db, { agent, limit: 1 });
    expect(event).toMatchObject({ type: 'enrolment', severity: 'warning' });
    expect(event?.message).toMatch(/asked for the name press-1, which \S+ has; it keeps press-2/);
    const free = enrolRequestOf(key, any, { name: 'press-3' });
    expect(await identity.enrol(free)).toMatchObject({ agent, name: 'press-3', approved: true });
  });

  it('names what is wrong with a token', async () => {
    const { identity, token, pass, store } = await openWorld();
    const enrol = (text: string) => identity.enrol(enrolRequestOf(newDeviceKey(), text));
    const good = await token();
    const [, id, secret, fingerprint] = good.split('.');
    const wrongSecret = `rj1.${id}.${'x'.repeat(secret!.length)}.${fingerprint}`;
    await expect(enrol(wrongSecret)).rejects.toMatchObject({ code: 'token_unknown' });
    const wrongRoot = `rj1.${id}.${secret}.${'x'.repeat(43)}`;
    await expect(enrol(wrongRoot)).rejects.toMatchObject({ code: 'token_unknown' });
    const short = await token({ expiresMs: 1000 });
    pass(1001);
    await expect(enrol(short)).rejects.toMatchObject({ code: 'token_expired' });
    await store.db
      .updateTable('join_tokens')
      .set({ revoked_at: 1 })
      .where('id', '=', id!)
      .execute();
    await expect(enrol(good)).rejects.toMatchObject({ code: 'token_revoked' });
  });

  it('refuses a key that the device did not prove', async () => {
    const { identity, token } = await openWorld();
    const honest = enrolRequestOf(newDeviceKey(), await token());
    for (const bad of [
      { ...honest, publicKey: newDeviceKey().publicKey },
      { ...honest, name: 'another' },
      { ...honest, proof: 'AAAA' },
    ]) {
      await expect(identity.enrol(bad)).rejects.toMatchObject({ code: 'proof_invalid' });
    }
  });

  it('keeps no secret of a token in the store', async () => {
    const { store, token } = await openWorld();
    const secret = (await token()).split('.')[2]!;
    const rows = await store.db.selectFrom('join_tokens').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret);
  });

  it('gives credentials that carry the agent id as their name and no permissions', async () => {
    const { identity, token } = await openWorld();
    const key = newDeviceKey();
    const reply = await identity.enrol(enrolRequestOf(key, await token()));
    const claims = decode<Record<string, unknown>>(reply.credentials!.jwt);
    expect(claims).toMatchObject({ name: reply.agent, sub: key.publicKey });
    expect(Object.keys(claims.nats).toSorted()).toEqual(['issuer_account', 'type', 'version']);
    expect(rootFingerprint(reply.rootKey)).toBe(identity.rootFingerprint);
  });
});

describe('renewal over HTTP', () => {
  async function enrolled() {
    const world = await openWorld();
    const key = newDeviceKey();
    const { agent } = await world.identity.enrol(enrolRequestOf(key, await world.token()));
    const renew = (nonce: string, by = key) =>
      world.identity.renew({
        v: 1,
        agent,
        publicKey: by.publicKey,
        nonce,
        proof: by.prove(renewalProof(agent, nonce)),
      });
    return { ...world, agent, renew };
  }

  it('works long after the credentials ended', async () => {
    const { identity, pass, renew } = await enrolled();
    pass(400 * DAY_MS);
    const { credentials } = await renew(identity.renewNonce());
    expect(credentials.expiresAt).toBeGreaterThan(systemClock.now() + 400 * DAY_MS);
  });

  it('refuses a nonce that is old, made up, or bent', async () => {
    const { identity, pass, renew } = await enrolled();
    const nonce = identity.renewNonce();
    await expect(renew('zz.x.y')).rejects.toMatchObject({ code: 'nonce_invalid' });
    await expect(renew(nonce.replace(/^./, 'z'))).rejects.toMatchObject({ code: 'nonce_invalid' });
    pass(5 * 60_000 + 1);
    await expect(renew(nonce)).rejects.toMatchObject({ code: 'nonce_expired' });
  });

  it('refuses another key and a revoked device', async () => {
    const { identity, agent, renew } = await enrolled();
    const stranger = renew(identity.renewNonce(), newDeviceKey());
    await expect(stranger).rejects.toMatchObject({ code: 'proof_invalid' });
    await identity.revoke(agent);
    await expect(renew(identity.renewNonce())).rejects.toMatchObject({ code: 'agent_revoked' });
  });
});

describe('revocation', () => {
  it('lists the key until its credentials have ended, even if the agent is forgotten', async () => {
    const { identity, token, store, pass, pushed } = await openWorld();
    const any = await token();
    const key = newDeviceKey();
    const request = enrolRequestOf(key, any);
    const { agent } = await identity.enrol(request);
    await identity.revoke(agent);
    expect(decode<{ revocations: object }>(pushed.at(-1)!).nats.revocations).toHaveProperty(
      key.publicKey,
    );
    await store.db.deleteFrom('agents').where('id', '=', agent).execute();
    await expect(identity.enrol(request)).rejects.toMatchObject({ code: 'agent_revoked' });
    pass(8 * DAY_MS);
    await identity.syncAccount();
    expect(decode<{ revocations: object }>(pushed.at(-1)!).nats.revocations).toEqual({});
  });

  it('of an agent that is not there is an error', async () => {
    const { identity } = await openWorld();
    await expect(identity.revoke('nobody')).rejects.toMatchObject({ code: 'agent_unknown' });
  });
});

describe('signed desired state', () => {
  it('verifies from the pinned root down to the document', async () => {
    const { identity } = await openWorld();
    const signed = identity.signDesired('{"a":1}');
    const list = signingKeyList.parse(JSON.parse(signed.keys.payload));
    expect(rootFingerprint(list.root)).toBe(identity.rootFingerprint);
    expect(verifySignature(list.root, signed.keys.payload, signed.keys.signature)).toBe(true);
    const { publicKey } = list.keys.find(({ id }) => id === signed.keyId)!;
    expect(verifySignature(publicKey, signed.payload, signed.signature)).toBe(true);
    expect(verifySignature(publicKey, `${signed.payload} `, signed.signature)).toBe(false);
  });

  it('stays good over one rotation, and the sequence only goes up', async () => {
    const keysDir = tempDir('keys');
    const ring = await KeyRing.open(keysDir, systemRandom);
    const before = ring.signDesired('x');
    await ring.rotateSigningKey();
    for (const after of [ring, await KeyRing.open(keysDir, systemRandom)]) {
      const list = signingKeyList.parse(JSON.parse(after.keyList.payload));
      expect(list.sequence).toBe(2);
      expect(list.keys.map(({ id }) => id)).toContain(before.keyId);
      expect(after.signDesired('x').keyId).not.toBe(before.keyId);
    }
  });
});

describe('the keys', () => {
  it('are made once, for their owner alone, and are the same after a restart', async () => {
    const { identity, keysDir, store } = await openWorld();
    const path = join(keysDir, 'keys.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(keysDir).mode & 0o777).toBe(0o700);
    const open = () =>
      Identity.open({
        heartbeatIntervalMs: limits.heartbeatIntervalMs,
        store,
        keysDir,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        natsUrls: () => [],
        natsCa: null,
        pushAccount: () => Promise.resolve(),
      });
    expect((await open()).rootFingerprint).toBe(identity.rootFingerprint);
    writeFileSync(path, '{"v":2}');
    await expect(open()).rejects.toMatchObject({ code: 'keys_version' });
    writeFileSync(path, '{"v":1');
    await expect(open()).rejects.toMatchObject({ code: 'keys_unreadable' });
  });

  it('of two first starts at once are those of one', async () => {
    const { KeyRing } = await import('@runnel/control-plane/identity/key-ring.ts');
    const dir = join(tempDir('keys'), 'keys');
    const rings = await Promise.all([1, 2, 3].map(() => KeyRing.open(dir, systemRandom)));
    expect(new Set(rings.map(({ rootKey }) => rootKey)).size).toBe(1);
  });
});

describe('people', () => {
  it('prove themselves by a token until it expires or is revoked', async () => {
    const { identity, pass, store } = await openWorld();
    const request = { role: 'operator' as const, name: 'ci', expiresMs: 1000, createdBy: 'test' };
    const { id, token } = await identity.createApiToken(request);
    expect(await identity.verifyBearer(token)).toEqual({
      id: `token:${id}`,
      role: 'operator',
      name: 'ci',
      tokenId: id,
    });
    expect(await identity.verifyBearer(`${token.slice(0, -1)}_`)).toBeUndefined();
    expect(await identity.verifyBearer('nonsense')).toBeUndefined();
    pass(1000);
    expect(await identity.verifyBearer(token)).toBeUndefined();
    const rows = await store.db.selectFrom('api_tokens').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(token.split('.')[2]);
  });

  it('sign in once with a link, and the session ends by itself or by signing out', async () => {
    const { identity, pass } = await openWorld();
    const { code } = await identity.createSignInLink('admin');
    const session = await identity.redeemSignInLink(code);
    expect(await identity.redeemSignInLink(code)).toBeUndefined();
    expect(await identity.verifySession(session!.secret)).toMatchObject({ role: 'admin' });
    expect(await identity.verifySession(code)).toBeUndefined();
    await identity.endSession(session!.secret);
    expect(await identity.verifySession(session!.secret)).toBeUndefined();
    const late = await identity.createSignInLink('viewer');
    const lasting = await identity.redeemSignInLink(
      (await identity.createSignInLink('viewer')).code,
    );
    pass(15 * 60_000);
    expect(await identity.redeemSignInLink(late.code)).toBeUndefined();
    pass(12 * 3_600_000);
    expect(await identity.verifySession(lasting!.secret)).toBeUndefined();
  });

  it('get the first admin token from a file of the first start alone', async () => {
    const { identity } = await openWorld();
    const path = join(tempDir('data'), 'admin-token');
    const token = await identity.ensureAdminToken(path);
    expect(readFileSync(path, 'utf8')).toBe(`${token}\n`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await identity.verifyBearer(token!)).toMatchObject({ role: 'admin' });
    expect(await identity.ensureAdminToken(path)).toBeUndefined();
  });

  it('have roles that include each other', () => {
    expect(includesRole('admin', 'viewer')).toBe(true);
    expect(includesRole('operator', 'operator')).toBe(true);
    expect(includesRole('viewer', 'operator')).toBe(false);
  });
});
