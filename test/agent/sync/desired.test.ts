import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { SignedDesired } from '@runnel/shared/protocol/desired.ts';
import { DesiredStore, verifyDesired, verifyKeyList } from '@runnel/agent/sync/desired.ts';
import { SigningAuthority, testKey } from '../../support/signing-authority.ts';
import { TrustStore } from '@runnel/agent/sync/trust-store.ts';
import { dataFiles } from '@runnel/agent/config/data-files.ts';
import { readTrust } from '@runnel/agent/config/identity-files.ts';
import { tempDir } from '../../support/temp-dir.ts';

const agent = 'press1' as AgentId;
let authority: SigningAuthority;
beforeEach(() => {
  authority = new SigningAuthority();
});

const trust = (revision = 0, hash = '', sequence = 0) => {
  return { agent, rootFingerprint: authority.fingerprint, sequence, revision, hash };
};
const verify =
  (signed: SignedDesired, revision = 0, sequence = 0) =>
  () =>
    verifyDesired(trust(revision, '', sequence), signed);
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('what is accepted', () => {
  it('is a document whose chain of signatures ends in the pinned root', () => {
    const { document } = verify(authority.desired({ agent, revision: 3 }))();
    expect(document.revision).toBe(3);
  });
});

describe('what is refused', () => {
  it('is a document that was changed by one character', () => {
    const signed = authority.desired({ agent, revision: 3 });
    const payload = signed.payload.replace('"revision":3', '"revision":4');
    expect(verify({ ...signed, payload })).toThrow(code('signature_invalid'));
  });

  it('is a document signed by a key that is not on the list', () => {
    const signed = authority.desired({ agent });
    expect(verify({ ...signed, keyId: 'other' })).toThrow(code('key_unknown'));
    const stranger = testKey().sign(signed.payload);
    expect(verify({ ...signed, signature: stranger })).toThrow(code('signature_invalid'));
  });

  it('is a list of keys that the root did not sign', () => {
    const signed = authority.desired({ agent });
    const mallory = testKey();
    const keys = [{ id: 'k1', publicKey: mallory.publicKey }];
    const list = authority.keyList(1, keys);
    const forged = { payload: list.payload, signature: mallory.sign(list.payload) };
    const own = { ...signed, signature: mallory.sign(signed.payload), keys: forged };
    expect(verify(own)).toThrow(code('keys_signature'));
  });

  it('is another root, however well it signs', () => {
    const other = new SigningAuthority();
    expect(verify(other.desired({ agent }))).toThrow(code('root_mismatch'));
  });

  it('is a list of keys older than one accepted before', () => {
    expect(verify(authority.desired({ agent }, 2), 0, 3)).toThrow(code('keys_lower'));
    const pinned = { rootFingerprint: authority.fingerprint, sequence: 3 };
    expect(() => verifyKeyList(pinned, authority.keyList(2))).toThrow(code('keys_lower'));
  });

  it("is another agent's document", () => {
    expect(verify(authority.desired({ agent: 'press2' }))).toThrow(code('agent_mismatch'));
  });

  it('is a lower revision, and the same revision with other content', () => {
    expect(verify(authority.desired({ agent, revision: 4 }), 5)).toThrow(code('revision_lower'));
    const again = authority.desired({ agent, revision: 5, issuedAt: 9 });
    expect(() => verifyDesired(trust(5, 'another hash'), again)).toThrow(code('revision_reused'));
  });

  it('is a document of a newer protocol, with a clear reason', () => {
    const payload = JSON.stringify({ v: 2, agent, revision: 1 });
    expect(verify(authority.signedText(payload))).toThrow(code('protocol_version'));
  });

  it('is a signature of the wrong length, without an exception of the crypto library', () => {
    const signed = authority.desired({ agent });
    expect(verify({ ...signed, signature: '' })).toThrow(code('signature_invalid'));
    expect(verify({ ...signed, signature: 'AAAA' })).toThrow(code('signature_invalid'));
  });
});

describe('the document on disk', () => {
  const open = (dir: string, sequence = 0, revision = 0) => {
    const stored = { keys: authority.keyList(1), sequence, revision };
    const files = dataFiles(dir);
    const trust = new TrustStore({ files, rootFingerprint: authority.fingerprint, stored });
    return new DesiredStore({ agent, trust, path: join(dir, 'desired.json') });
  };

  it('runs again after a restart with no network', async () => {
    const dir = tempDir();
    const first = open(dir);
    expect(await first.load()).toBeNull();
    await first.accept(authority.desired({ agent, revision: 7 }));
    const second = open(dir);
    expect(await second.load()).toMatchObject({ revision: 7 });
    expect(second.hash).toBe(first.hash);
    await expect(second.accept(authority.desired({ agent, revision: 6 }))).rejects.toThrow(
      code('revision_lower'),
    );
  });

  it('runs although its signing key was retired since then', async () => {
    const dir = tempDir();
    await open(dir).accept(authority.desired({ agent, revision: 7 }, 1));
    const later = open(dir, 9);
    expect(await later.load()).toMatchObject({ revision: 7 });
    await expect(later.accept(authority.desired({ agent, revision: 8 }, 2))).rejects.toThrow(
      code('keys_lower'),
    );
  });

  it('may be lost or put back by an older one: what was accepted is known', async () => {
    const dir = tempDir();
    const path = join(dir, 'desired.json');
    const files = dataFiles(dir);
    const older = authority.desired({ agent, revision: 3 });
    const newer = authority.desired({ agent, revision: 7 });
    await open(dir).accept(newer);
    const { revision } = (await readTrust(files)) ?? {};
    expect(revision).toBe(7);

    writeFileSync(path, 'damaged');
    const store = open(dir, 0, revision);
    await expect(store.load()).rejects.toThrow(code('desired_unreadable'));
    expect(store.revision).toBe(7);
    await expect(store.accept(older)).rejects.toThrow(code('revision_lower'));
    await store.accept(newer);
    expect(await open(dir, 0, revision).load()).toMatchObject({ revision: 7 });

    writeFileSync(path, JSON.stringify(older));
    await expect(open(dir, 0, revision).load()).rejects.toThrow(/older than 7/);
  });

  it('that somebody changed is not run, and the next one replaces it', async () => {
    const dir = tempDir();
    const path = join(dir, 'desired.json');
    await open(dir).accept(authority.desired({ agent, revision: 7 }));
    writeFileSync(path, readFileSync(path, 'utf8').replace('\\"revision\\":7', '\\"revision\\":8'));
    const store = open(dir);
    await expect(store.load()).rejects.toThrow(code('desired_unreadable'));
    expect(store.revision).toBe(0);
    await store.accept(authority.desired({ agent, revision: 9 }));
    expect(await open(dir).load()).toMatchObject({ revision: 9 });
  });

  it('stays as it was when a document is refused', async () => {
    const dir = tempDir();
    const store = open(dir);
    await store.accept(authority.desired({ agent, revision: 7 }));
    const before = readFileSync(join(dir, 'desired.json'), 'utf8');
    const bad = { ...authority.desired({ agent, revision: 8 }), signature: 'x' };
    await expect(store.accept(bad)).rejects.toThrow(code('signature_invalid'));
    expect(readFileSync(join(dir, 'desired.json'), 'utf8')).toBe(before);
    expect(store.revision).toBe(7);
  });
});
