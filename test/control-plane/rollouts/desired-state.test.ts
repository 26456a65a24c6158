import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  DesiredState,
  type DesiredStateParts,
} from '@runnel/control-plane/rollouts/desired-state.ts';
import { setAgentLabels } from '@runnel/control-plane/store/agents.ts';
import { applyVersion } from '@runnel/control-plane/store/jobs.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { createHash } from 'node:crypto';
import type { DesiredDocument, DesiredReply } from '@runnel/shared/protocol/desired.ts';
import { limits } from '@runnel/shared/limits.ts';
import { insertAgent } from '../../contracts/store-rows.ts';
import { tempDir } from '../../support/temp-dir.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

async function setUp(parts: Partial<DesiredStateParts> = {}) {
  const store = await openStore(join(tempDir('desired'), 'store.db'));
  onTestFinished(() => store.close());
  const notified: [string, number][] = [];
  const changed: string[] = [];
  const unreadable: string[] = [];
  const open = () =>
    DesiredState.open({
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
      db: store.db,
      clock: systemClock,
      sign: (payload) => ({
        v: 1,
        payload,
        keyId: 'k',
        signature: 's',
        keys: { payload: '{}', signature: 's' },
      }),
      notifyChanged: (agent, revision) => notified.push([agent, revision]),
      observedRevision: () => 0,
      changed: (agents) => changed.push(...agents),
      unreadable: (job) => unreadable.push(job),
      ...parts,
    });
  return { db: store.db, open, notified, changed, unreadable };
}

const version = (name: string, selector?: string, more: object = {}) => {
  const placement = selector === undefined ? {} : { placement: { selector } };
  const document = { metadata: { name }, ...placement, ...more };
  return {
    name,
    kind: 'StreamJob',
    hash: sha256(JSON.stringify(document)),
    document: JSON.stringify(document),
    source: '',
    createdBy: 'test',
  };
};

const ask = (agent: string, more: { hash?: string; revision?: number; told?: number } = {}) =>
  ({ v: 1, agent, hash: '', revision: 0, told: 0, ...more }) as const;

function documentOf(reply: DesiredReply): DesiredDocument {
  if (reply.status !== 'new') throw new Error(`answered ${reply.status}`);
  return JSON.parse(reply.desired.payload) as DesiredDocument;
}

describe('desired state', () => {
  it('gives each agent the jobs that its labels select, and tells it', async () => {
    const { db, open, notified } = await setUp();
    await insertAgent(db, { id: 'a1', labels: { site: 'lyon' } });
    await insertAgent(db, { id: 'a2' });
    const state = await open();
    await applyVersion(db, version('lyon-only', 'site=lyon'), 1);
    await applyVersion(db, version('all', undefined, { parameters: { p: { default: 7 } } }), 1);
    notified.length = 0;
    await state.recomputeAll();
    const first = documentOf(await state.reply(ask('a1')));
    expect(first.jobs.map((job) => job.name)).toEqual(['all', 'lyon-only']);
    expect(first.jobs[0]).toMatchObject({ version: 1, parameters: { p: 7 }, paused: false });
    const second = documentOf(await state.reply(ask('a2')));
    expect(second.jobs.map((job) => job.name)).toEqual(['all']);
    expect(new Map(notified)).toEqual(
      new Map([
        ['a1', first.revision],
        ['a2', second.revision],
      ]),
    );
    expect(notified).toHaveLength(2);
  });

  it('raises the revision only when the content changes', async () => {
    const { db, open, notified } = await setUp();
    await insertAgent(db, { id: 'a1' });
    await applyVersion(db, version('all'), 1);
    const state = await open();
    const revision = state.revisionOf('a1');
    notified.length = 0;
    await state.recomputeAll();
    await state.recompute('a1');
    await applyVersion(db, version('elsewhere', 'site=turin'), 1);
    await state.recomputeAll();
    expect(state.revisionOf('a1')).toBe(revision);
    expect(notified).toEqual([]);
    const again = await open();
    expect(again.revisionOf('a1')).toBe(revision);
  });

  it('follows labels and approvals', async () => {
    const { db, open, changed } = await setUp();
    await insertAgent(db, { id: 'a1', status: 'pending' });
    await applyVersion(db, version('lyon-only', 'site=lyon'), 1);
    const state = await open();
    expect(await state.reply(ask('a1'))).toMatchObject({ status: 'retry' });
    await db.updateTable('agents').set({ status: 'approved' }).execute();
    await setAgentLabels(db, 'a1', { site: 'lyon' });
    await state.recompute('a1');
    expect(state.versionsOf('a1')).toEqual(new Map([['lyon-only', 1]]));
    expect(changed).toEqual(['a1']);
    await db.updateTable('agents').set({ status: 'revoked' }).execute();
    await state.recompute('a1');
    expect(state.versionsOf('a1').size).toBe(0);
  });

  it('answers "same" to who has it, and the very text that was signed to who has not', async () => {
    const { db, open } = await setUp();
    await insertAgent(db, { id: 'a1' });
    const state = await open();
    const reply = await state.reply(ask('a1'));
    if (reply.status !== 'new') throw new Error(reply.status);
    const { revision } = documentOf(reply);
    const hash = sha256(reply.desired.payload);
    expect(await state.reply(ask('a1', { hash, revision }))).toMatchObject({ status: 'same' });
    const restarted = await open();
    expect(await restarted.reply(ask('a1', { hash, revision }))).toMatchObject({ status: 'same' });
  });

  it('begins above what an agent reports after a restore of the store', async () => {
    const { db, open } = await setUp();
    await insertAgent(db, { id: 'a1' });
    const state = await open();
    const document = documentOf(await state.reply(ask('a1', { revision: 41, hash: 'other' })));
    expect(document.revision).toBe(42);
    expect(documentOf(await state.reply(ask('a1', { told: 50 }))).revision).toBe(51);
  });

  it('begins above what heartbeats report', async () => {
    const { db, open } = await setUp({ observedRevision: () => 9 });
    await insertAgent(db, { id: 'a1' });
    expect((await open()).revisionOf('a1')).toBe(10);
  });

  it('issues other content of the same revision anew, once, not for ever', async () => {
    const { db, open } = await setUp();
    await insertAgent(db, { id: 'a1' });
    const state = await open();
    const { revision } = documentOf(await state.reply(ask('a1')));
    const higher = documentOf(await state.reply(ask('a1', { revision, hash: 'restored' })));
    expect(higher.revision).toBe(revision + 1);
    // An agent that refuses every document goes on reporting the newest revision it refused.
    const refused = { revision: higher.revision, hash: 'restored' };
    expect(documentOf(await state.reply(ask('a1', refused))).revision).toBe(revision + 1);
    expect(state.revisionOf('a1')).toBe(revision + 1);
  });

  it('refuses a revision from which it could not count on', async () => {
    const { db, open } = await setUp();
    await insertAgent(db, { id: 'a1' });
    const state = await open();
    await expect(state.reply(ask('a1', { revision: Number.MAX_SAFE_INTEGER }))).rejects.toThrow(
      expect.objectContaining({ code: 'revision_out_of_range' }),
    );
  });

  it('places the other jobs when one cannot be read', async () => {
    const { db, open, unreadable } = await setUp();
    await insertAgent(db, { id: 'a1' });
    await applyVersion(db, version('broken', 'site in ('), 1);
    await applyVersion(db, version('fine'), 1);
    const state = await open();
    expect([...state.versionsOf('a1').keys()]).toEqual(['fine']);
    expect(unreadable).toEqual(['broken']);
  });

  it('brings a fleet larger than one chunk up to date, each told once', async () => {
    const { db, open, notified } = await setUp();
    for (let index = 0; index < 450; index += 1) await insertAgent(db, { id: `a${index}` });
    const state = await open();
    notified.length = 0;
    await applyVersion(db, version('all'), 1);
    await Promise.all([state.recomputeAll(), state.recomputeAll(), state.recomputeAll()]);
    expect(notified).toHaveLength(450);
    expect(new Set(notified.map(([agent]) => agent)).size).toBe(450);
  });
});
