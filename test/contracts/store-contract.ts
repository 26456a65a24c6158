/**
 * What every store must do, whatever database is under it. A suite calls it with a way to open an
 * empty store; it runs over libsql and over PostgreSQL.
 */
import type { Kysely } from 'kysely';
import { describe, expect, it } from 'vitest';
import {
  agentById,
  allAgents,
  deleteRevokedAgent,
  setAgentLabels,
} from '@runnel/control-plane/store/agents.ts';
import { appendAudit, pageAudit } from '@runnel/control-plane/store/audit.ts';
import { DatasetStats } from '@runnel/control-plane/store/dataset-stats.ts';
import {
  desiredHeads,
  desiredOf,
  putDesired,
  sweepDesiredContents,
} from '@runnel/control-plane/store/desired.ts';
import { appendEvent, pageEvents } from '@runnel/control-plane/store/events.ts';
import {
  applyVersion,
  deleteJob,
  getJob,
  getVersion,
  listJobs,
  listVersions,
} from '@runnel/control-plane/store/jobs.ts';
import type { Store } from '@runnel/control-plane/store/open-store.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import { alertsContract } from './store-alerts-contract.ts';
import { parametersContract } from './store-parameters-contract.ts';
import { resultsContract } from './store-results-contract.ts';
import { retentionContract } from './store-retention-contract.ts';
import { runsContract } from './store-runs-contract.ts';
import { rolloutsContract } from './store-rollouts-contract.ts';
import { slasContract } from './store-slas-contract.ts';
import { insertAgent, insertResults } from './store-rows.ts';

export type OpenEmptyStore = () => Promise<Store>;

const noPause = (): Promise<void> => Promise.resolve();

const version = (hash: string, name = 'press') => ({
  name,
  kind: 'StreamJob',
  hash,
  document: JSON.stringify({ metadata: { name }, hash }),
  source: `# ${hash}`,
  createdBy: 'token:t1',
});

export function storeContract(name: string, openEmpty: OpenEmptyStore): void {
  describe(`store contract over ${name}`, () => {
    const withStore = (claim: string, body: (db: Kysely<Schema>) => Promise<void>): void => {
      it(claim, async () => {
        const store = await openEmpty();
        try {
          await body(store.db);
        } finally {
          await store.close();
        }
      });
    };
    jobsContract(withStore);
    desiredContract(withStore);
    historyContract(withStore);
    resultsContract(withStore);
    retentionContract(withStore);
    runsContract(withStore);
    rolloutsContract(withStore);
    slasContract(withStore);
    parametersContract(withStore);
    alertsContract(withStore);
  });
}

export type WithStore = (claim: string, body: (db: Kysely<Schema>) => Promise<void>) => void;

function jobsContract(withStore: WithStore): void {
  withStore('the first apply makes version 1 of generation 1', async (db) => {
    const applied = await applyVersion(db, version('a'), 10);
    expect(applied).toEqual({ version: 1, generation: 1, created: true, changed: true });
    expect(await getJob(db, 'press')).toMatchObject({ version: 1, hash: 'a', createdAt: 10 });
  });

  withStore('the same content again changes nothing', async (db) => {
    await applyVersion(db, version('a'), 10);
    const again = await applyVersion(db, version('a'), 20);
    expect(again).toEqual({ version: 1, generation: 1, created: false, changed: false });
    expect(await listVersions(db, 'press')).toHaveLength(1);
    expect((await getJob(db, 'press'))?.updatedAt).toBe(10);
  });

  withStore('old content makes its old version current again', async (db) => {
    await applyVersion(db, version('a'), 10);
    await applyVersion(db, version('b'), 20);
    const back = await applyVersion(db, version('a'), 30);
    expect(back).toEqual({ version: 1, generation: 3, created: false, changed: true });
    expect(await getJob(db, 'press')).toMatchObject({ version: 1, hash: 'a', generation: 3 });
    const versions = await listVersions(db, 'press');
    expect(versions.map((entry) => entry.version)).toEqual([2, 1]);
    const next = await applyVersion(db, version('c'), 40);
    expect(next.version).toBe(3);
  });

  withStore('a deleted job keeps its versions and goes on counting', async (db) => {
    await applyVersion(db, version('a'), 10);
    expect(await deleteJob(db, 'press', 20)).toBe(2);
    expect(await deleteJob(db, 'press', 21)).toBeUndefined();
    expect(await listJobs(db)).toEqual([]);
    expect(await getVersion(db, 'press', 1)).toMatchObject({ source: '# a' });
    const again = await applyVersion(db, version('a'), 30);
    expect(again).toEqual({ version: 1, generation: 3, created: false, changed: true });
  });

  withStore('jobs applied at the same time all arrive', async (db) => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(names.map((name) => applyVersion(db, version('h', name), 1)));
    expect((await listJobs(db)).map((job) => job.name)).toEqual(names);
  });
}

function desiredContract(withStore: WithStore): void {
  const head = (agent: string, revision: number) => ({
    agent,
    revision,
    contentHash: `h${revision}`,
    issuedAt: revision,
  });
  const texts = (...hashes: string[]) => new Map(hashes.map((hash) => [hash, `text of ${hash}`]));

  withStore('a lower or equal revision never replaces a higher one', async (db) => {
    await putDesired(db, [head('a1', 5), head('a2', 1)], texts('h5', 'h1'));
    await putDesired(db, [head('a1', 4)], texts('h4'));
    await putDesired(db, [{ ...head('a1', 5), contentHash: 'h4' }], texts());
    expect(await desiredOf(db, 'a1')).toEqual({ ...head('a1', 5), content: 'text of h5' });
    await putDesired(db, [head('a1', 6)], texts('h6'));
    const heads = await desiredHeads(db);
    expect(heads.toSorted((a, b) => a.agent.localeCompare(b.agent))).toEqual([
      head('a1', 6),
      head('a2', 1),
    ]);
  });

  withStore('contents stay as long as an agent has them', async (db) => {
    await putDesired(db, [head('a1', 1), head('a2', 2)], texts('h1', 'h2'));
    await putDesired(db, [head('a1', 2)], texts('h2'));
    await sweepDesiredContents(db);
    expect((await desiredOf(db, 'a2'))?.content).toBe('text of h2');
    const left = await db.selectFrom('desired_contents').select('hash').execute();
    expect(left.map((row) => row.hash)).toEqual(['h2']);
  });

  withStore('only a revoked agent can be forgotten, with its desired state', async (db) => {
    await insertAgent(db, { id: 'a1', status: 'approved' });
    await insertAgent(db, { id: 'a2', status: 'revoked' });
    await putDesired(db, [head('a1', 1), head('a2', 1)], texts('h1'));
    expect(await deleteRevokedAgent(db, 'a1')).toBe(false);
    expect(await deleteRevokedAgent(db, 'a2')).toBe(true);
    expect((await allAgents(db)).map((agent) => agent.id)).toEqual(['a1']);
    expect(await desiredOf(db, 'a2')).toBeUndefined();
  });

  withStore('labels are replaced as a whole', async (db) => {
    await insertAgent(db, { id: 'a1', labels: { site: 'lyon', line: '4' } });
    await setAgentLabels(db, 'a1', { site: 'turin' });
    expect((await agentById(db, 'a1'))?.labels).toEqual({ site: 'turin' });
  });
}

function historyContract(withStore: WithStore): void {
  const event = (at: number, agent: string | null) =>
    ({ at, agent, job: null, type: 'connection', severity: 'info', message: `m${at}` }) as const;

  withStore('events come newest first, or forward from a cursor', async (db) => {
    for (const at of [1, 2, 3]) await appendEvent(db, event(at, at === 2 ? 'a2' : 'a1'));
    const newest = await pageEvents(db, { limit: 2 });
    expect(newest.map((entry) => entry.at)).toEqual([3, 2]);
    const forward = await pageEvents(db, { limit: 10, after: newest[1]!.id - 1 });
    expect(forward.map((entry) => entry.at)).toEqual([2, 3]);
    const own = await pageEvents(db, { limit: 10, agent: 'a1' });
    expect(own.map((entry) => entry.at)).toEqual([3, 1]);
  });

  withStore('audit rows page backwards', async (db) => {
    for (const at of [1, 2, 3]) {
      await appendAudit(db, { at, actor: 'token:t', action: 'job.apply', subject: 'press' });
    }
    const first = await pageAudit(db, { limit: 2 });
    expect(first.map((row) => row.at)).toEqual([3, 2]);
    const second = await pageAudit(db, { limit: 2, before: first[1]!.id });
    expect(second.map((row) => row.at)).toEqual([1]);
  });

  withStore('datasets count what came since the last look', async (db) => {
    const stats = new DatasetStats(db, noPause);
    expect(await stats.list()).toEqual([]);
    await insertResults(db, [
      { dataset: 'rms', seq: 1 },
      { dataset: 'rms', seq: 2 },
      { dataset: 'temp', seq: 3, job: 'oven' },
      { dataset: 'rms', seq: 4, kind: 'alert' },
    ]);
    expect(await stats.list()).toMatchObject([
      { dataset: 'rms', job: 'press', rows: 2 },
      { dataset: 'temp', job: 'oven', rows: 1 },
    ]);
    await insertResults(db, [{ dataset: 'rms', seq: 5 }]);
    const lists = await Promise.all([stats.list(), stats.list(), stats.list()]);
    expect(lists.map((list) => list[0]?.rows)).toEqual([3, 3, 3]);
  });
}
