/** What a newer release wrote is refused with a clear error and left as it is (I11). */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckpointStore, StoreKey } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import type { DbName } from '@runnel/agent/checkpoints/store-layout.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openTestStore } from '../outbox/open-test-store.ts';
import { desired } from '../streams/counting-job.ts';
import { openSite, type Site } from '../streams/site.ts';

const NEWER = 77;

/** A data directory with something of everything, closed in order. */
async function written(): Promise<string> {
  const site = await openSite();
  await site.runtime.applyJobs([desired('a'), desired('b', 1, { source: 'other' })]);
  site.source().give({ payload: { v: 1 } }, { payload: '{' });
  site.source('other').give({ payload: { v: 1 } });
  await site.settled();
  await site.close();
  return site.dataDir;
}

interface Place {
  readonly db: DbName;
  readonly key: (key: StoreKey) => boolean;
  /** Where the format stands in the value. */
  readonly byte: number;
}

/** Makes every value at the place one of a newer format. */
async function age(dataDir: string, { db, key, byte }: Place): Promise<number> {
  const store: CheckpointStore = openTestStore(join(dataDir, 'store'));
  const entries = [...store.range(db, {})].filter((entry) => key(entry.key));
  await store.commit((tx) => {
    for (const entry of entries) {
      entry.value[byte] = NEWER;
      tx.put(db, entry.key, entry.value);
    }
  });
  await store.close();
  return entries.length;
}

/** A key of one part comes back as that part. */
const kind = (wanted: string) => (key: StoreKey) =>
  key === wanted || (Array.isArray(key) && key[0] === wanted);
const always = () => true;

const REFUSED: readonly (Place & { readonly what: string })[] = [
  { what: 'the store', db: 'meta', key: kind('format'), byte: 0 },
  { what: 'a journal block', db: 'journal', key: always, byte: 1 },
  { what: 'a job record', db: 'meta', key: kind('job'), byte: 0 },
  { what: 'a lane', db: 'outbox', key: kind('lane'), byte: 0 },
  { what: 'an epoch', db: 'outbox', key: kind('epoch'), byte: 0 },
];

describe('data of a newer agent', () => {
  it.each(REFUSED)('refuses to open over $what of a newer format', async (place) => {
    const dataDir = await written();
    expect(await age(dataDir, place)).toBeGreaterThan(0);
    for (const attempt of ['after a clean stop', 'after an unclean stop']) {
      if (attempt === 'after an unclean stop') {
        const dead = { v: 1, pid: 999_999, start: '1', boot: 'another', nonce: 'abcdefghabcdefgh' };
        writeFileSync(join(dataDir, 'agent.lock'), JSON.stringify(dead));
      }
      // After an unclean stop it is the child process that finds it.
      const code = expect.stringMatching(/^(store|journal)_format_newer$/) as string;
      const hint = expect.stringMatching(/newer agent/) as string;
      const refusal = openSite({ dataDir });
      await expect(refusal, attempt).rejects.toThrow(`format ${NEWER}`);
      await expect(refusal, attempt).rejects.toMatchObject({ code, hint });
    }
    // Still unclean: the next agent looks at the store before it opens it.
    expect(existsSync(join(dataDir, 'agent.lock'))).toBe(true);
    expect(readdirSync(dataDir).filter((name) => name.startsWith('store'))).toEqual(['store']);
  });

  it('stops the job whose state it is, says so, and the others go on', async () => {
    const dataDir = await written();
    const slot = (key: StoreKey): boolean => (key as Buffer).readUInt32BE(0) === 1;
    expect(await age(dataDir, { db: 'state', key: slot, byte: 0 })).toBeGreaterThan(0);
    const site: Site = await openSite({
      dataDir,
      prepare: (source) => {
        for (let n = 0; n < 3; n++) source.give({ payload: { v: 2 } });
      },
    });
    await site.runtime.applyJobs([desired('a'), desired('b', 1, { source: 'other' })]);
    await site.settled();
    await waitFor('the condition', () => site.conditions.list().length === 1);
    expect(site.conditions.list()).toMatchObject([
      { type: 'jobs/a', message: expect.stringContaining(`format ${NEWER}`) },
    ]);
    const [a, b] = site.runtime.jobReports();
    expect(a?.phase).not.toBe('running');
    expect(b).toMatchObject({ name: 'b', phase: 'running', recordsIn: 3 });
  });
});
