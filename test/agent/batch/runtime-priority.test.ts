/**
 * The priority of a job on its way out: an agent whose link is narrow, with an urgent job and one
 * that can wait. Compression is part of the rate, so rows hold text that does not pack.
 */
import { gunzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { LANES, resultBlock, type Row } from '@runnel/shared/protocol/results.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import { seededRandom } from '@runnel/shared/random.ts';
import type { Link } from '@runnel/agent/sync/link.ts';
import { ResultsSender } from '@runnel/agent/sync/results-sender.ts';
import { TokenBucket } from '@runnel/agent/sync/token-bucket.ts';
import { silentLog } from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';

const random = seededRandom(7);
const noise = (): string =>
  Array.from({ length: 150 }, () => Math.floor(random.next() * 2 ** 32).toString(36)).join('');

const job = (name: string, priority: number, version = 1) =>
  desiredJob(
    name,
    `priority: ${priority}
parameters: { noise: { type: string, default: ${noise()} } }
tasks: [{ id: a, value: { value: "{{ params.noise }}" } }]`,
    { version },
  );
const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;

/** Runs the job, one run after the other, until so many have succeeded in all. */
async function runUpTo(site: BatchSite, name: string, count: number): Promise<void> {
  for (let n = succeeded(site, name) + 1; n <= count; n++) {
    await site.command({ ...ASK, job: name }, `${name}-${n}`);
    await waitFor(`run ${n} of ${name}`, () => succeeded(site, name) === n);
  }
}

function succeeded(site: BatchSite, name: string): number {
  const report = site.runtime.jobReports().find((each) => each.name === name);
  return report?.batch?.ended['success'] ?? 0;
}

/** A control plane that applies blocks under their marks; `rows` in the order of arrival. */
function takeAll() {
  const rows: Row[] = [];
  const marks = new Map<string, number>();
  const link: Link = {
    server: 'test',
    closed: new Promise(() => undefined),
    heartbeat: () => undefined,
    close: () => Promise.resolve(),
    request: (_kind, body) => {
      const bytes = body[0] === 0x1f ? gunzipSync(body) : Buffer.from(body);
      const block = resultBlock.parse(JSON.parse(bytes.toString('utf8')));
      const { epoch, lane, after, last, lost } = block;
      expect(lost).toBe(0);
      expect(after).toBe(marks.get(`${epoch}/${lane}`) ?? 0);
      marks.set(`${epoch}/${lane}`, last);
      rows.push(...block.rows);
      return Promise.resolve({ v: 1, epoch, lane, mark: last });
    },
  };
  return { rows, link };
}

async function drainSlowly(site: BatchSite, bytesPerSecond: number): Promise<readonly Row[]> {
  const { rows, link } = takeAll();
  const bucket = new TokenBucket({ clock: systemClock, bytesPerSecond, burstBytes: 4000 });
  const shared = { clock: systemClock, random, log: silentLog, bucket };
  const sender = new ResultsSender({ ...shared, outbox: site.runtime.outbox });
  onTestFinished(() => sender.close());
  sender.start(link);
  await waitFor('the outbox to be empty', () => site.runtime.outboxReport().rows === 0);
  await sender.close();
  return rows;
}

/** Reports of one run never go back, and there is one end of each. */
function expectWhole(rows: readonly Row[], name: string, count: number): void {
  const own = rows.filter((row) => row.job === name);
  expect(own.map(({ at }) => at)).toEqual(own.map(({ at }) => at).toSorted((a, b) => a - b));
  const reports = own.filter(({ kind }) => kind === 'run').map(({ value }) => value as RunReport);
  expect(reports.filter(({ state }) => state === 'success')).toHaveLength(count);
  const newest = new Map(reports.map(({ run, state }) => [run, state]));
  expect([...newest.values()]).toEqual(Array.from({ length: count }, () => 'success'));
}

it('the rows of an urgent job arrive first over a narrow link, after a restart too', async () => {
  const dataDir = tempDir('batch');
  const first = await openBatchSite({ dataDir });
  const jobs = [job('archive', -5), job('plain', 0), job('guard', 10)];
  await first.runtime.applyJobs(jobs);
  await runUpTo(first, 'archive', 6);
  await runUpTo(first, 'plain', 3);
  await runUpTo(first, 'guard', 2);
  await first.close();
  const site = await openBatchSite({ dataDir });
  await site.runtime.applyJobs(jobs);
  await runUpTo(site, 'guard', 3);
  const rows = await drainSlowly(site, 20_000);
  for (const [name, count] of Object.entries({ archive: 6, plain: 3, guard: 3 })) {
    expectWhole(rows, name, count);
  }
  const names = rows.map((row) => row.job);
  expect(names.slice(0, names.lastIndexOf('guard') + 1)).toSatisfy((before: string[]) =>
    before.every((name) => name === 'guard'),
  );
  expect(names.indexOf('archive')).toBeGreaterThan(names.lastIndexOf('plain'));
});

it('a new version with another priority does not overtake the runs of the one before', async () => {
  const site = await openBatchSite();
  await site.runtime.applyJobs([job('j', -1)]);
  await runUpTo(site, 'j', 3);
  await site.runtime.applyJobs([job('j', 5, 2)]);
  await runUpTo(site, 'j', 5);
  expectWhole(await drainSlowly(site, 200_000), 'j', 5);
  await runUpTo(site, 'j', 6);
  for (const lane of LANES) {
    expect((await site.take(lane)).length > 0, lane).toBe(lane === 'urgent');
  }
});
