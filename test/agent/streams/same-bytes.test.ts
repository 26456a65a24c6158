/**
 * One journal, several ways through it, the same bytes (I6, DESIGN.md §9): dry-run, the live agent
 * with commits at any place, a job that reads the journal later, and the journal read again after
 * restarts.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseJobDocument, streamJobOf } from '@runnel/shared/definitions/parse-job.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { seededRandom } from '@runnel/shared/random.ts';
import { compileJob } from '@runnel/agent/streams/compile-job.ts';
import { waitFor } from '../../support/wait-for.ts';
import {
  CASES,
  desiredOf,
  dryRunText,
  goldenInput,
  goldenJob,
  type InputLine,
  textOf,
} from './golden-run.ts';
import { ManualClock } from './manual-clock.ts';
import { openSite, type Site } from './site.ts';

/** No pauses between commits: this clock stands still while they are written. */
const budgets = { pace: { commitsPerSecond: 1e9, burst: 1e9 } };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Gives the lines at their times; `settle` says after which of them everything is committed. */
async function play(
  site: Site,
  clock: ManualClock,
  sourceIds: ReadonlyMap<string, string>,
  lines: readonly InputLine[],
  settle: () => boolean,
): Promise<void> {
  for (const { source, time, now, topic = '', payload } of lines) {
    // The timer of what came before is set when the jobs have seen it.
    await turn();
    clock.passTo(time ?? now ?? 0);
    if (time !== undefined) site.source(sourceIds.get(source)).give({ topic, payload });
    if (settle()) await site.settled();
  }
  await turn();
  await turn();
  await site.settled();
}

/** Rows of a commit in the order of their jobs' outputs, until no more come. */
async function takeAll(site: Site, job: string): Promise<string> {
  await waitFor('the job to be at the head', () =>
    site.runtime
      .jobReports()
      .some(({ name, phase, lagRecords }) => name === job && phase === 'running' && !lagRecords),
  );
  await site.runtime.applyJobs([]);
  return textOf((await site.take()).filter((row) => row.job === job));
}

const cases = readdirSync(CASES).map((name) => {
  const { document, job } = goldenJob(name);
  return { name, document, job, lines: goldenInput(name, Object.keys(job.sources)) };
});

/** Watermark lines are for dry-run only: nothing that comes in raises a watermark by itself. */
const playable = cases.filter(({ lines }) =>
  lines.every(({ watermark }) => watermark === undefined),
);

describe.each(playable)('golden case $name', ({ name, document, job, lines }) => {
  const sourceIds = new Map(
    compileJob(desiredOf(document, name)).sources.map(({ alias, connector }) => [
      alias,
      connector.id,
    ]),
  );

  it.each([
    ['a commit for every record', () => true],
    ['one commit for all that comes', () => false],
  ])('gives the same bytes live, with %s, as in dry-run', async (_, settle) => {
    const clock = new ManualClock(0);
    const site = await openSite({ clock, compile: compileJob, budgets });
    await site.runtime.applyJobs([desiredOf(document, name)]);
    await play(site, clock, sourceIds, lines, settle);
    expect(await takeAll(site, name)).toBe(await dryRunText(job, lines));
  });
});

it('golden cases put out something in the agent, so that equal is not empty', async () => {
  const texts = await Promise.all(playable.map(({ job, lines }) => dryRunText(job, lines)));
  expect(texts.filter((text) => text !== '').length).toBeGreaterThanOrEqual(15);
});

/** Jobs over one source; event times up to 3 s out of order, silence of 80 ms is an alert. */
const MIXED: Readonly<Record<string, string>> = {
  tumbling: `
  - filter: "payload.v != 13"
  - window: { tumbling: 2s, by: "payload.k", allowedLateness: 1s }
    aggregate:
      n: "count()"
      sum: "sum(payload.v)"
      p95: "quantile(payload.v, 0.95)"
      last: "last(payload.v)"
  - map: { derive: { mean: "sum / n" } }`,
  hopping: `
  - window: { hopping: { size: 3s, every: 1s } }
    aggregate: { n: "count()", max: "max(payload.v)", spread: "stddev(payload.v)" }`,
  sessions: `
  - window: { session: { gap: 400ms }, by: "payload.k", allowedLateness: 3s }
    aggregate: { n: "count()", first: "first(payload.v)" }`,
  silence: `
  - alert: { absence: 80ms, by: "topic" }`,
  peaks: `
  - id: peak
    window: { tumbling: 1s, by: "payload.k" }
    aggregate: { peak: "max(payload.v)" }
  - alert: { when: "peak > 90", clear: "peak < 80", for: 2s }`,
};

function mixedDocument(steps: string): unknown {
  const last = ['alert', 'map', 'window'].find((operator) => steps.includes(`- ${operator}:`));
  return parse(`
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: mixed }
sources:
  in: { mqtt: { topic: "in/#" }, time: "payload.ts", maxOutOfOrderness: 2s }
steps:${steps}
sinks:
  - { from: ${last}, results: { dataset: out } }
  - { from: late, results: { dataset: late } }
`);
}

const mixed = Object.entries(MIXED).map(([name, steps]) => {
  const document = mixedDocument(steps);
  return { name, document, job: streamJobOf(parseJobDocument(document)) };
});
const sourceId = compileJob(desiredOf(mixed[0]?.document, 'x')).sources[0]?.connector.id ?? '';

/** Both of each job: one lives, its twin waits for the journal. */
function twins(paused: boolean) {
  return mixed.flatMap(({ name, document }) => [
    desiredOf(document, name),
    { ...desiredOf(document, `${name}-twin`), paused },
  ]);
}

/** That the live job for silence has put out so far. */
function alertsOf(site: Site): number {
  return site.runtime.jobReports().find(({ name }) => name === 'silence')?.recordsOut ?? 0;
}

/** The journal as lines of dry-run; connections make no difference without `idleTimeout`. */
function journalLines(site: Site): InputLine[] {
  const { journal } = site.runtime;
  const lines: InputLine[] = [];
  for (let block = journal.firstOffset.block; block < journal.nextBlock; block++) {
    const reader = journal.read(block);
    for (let item = reader?.next(); reader && item !== undefined; item = reader.next()) {
      if (item.kind === 'record') {
        const { now: time, topic, start, end } = item;
        const payload = JSON.parse(reader.bytes.toString('utf8', start, end)) as unknown;
        lines.push({ source: 'in', time, topic, payload });
      } else if (item.entry.kind === 'tick') lines.push({ source: 'in', now: item.now });
    }
  }
  return lines;
}

describe('a live run over the real clock, with two restarts', () => {
  it('gives the bytes that its journal gives in dry-run, and to a job that lags', async () => {
    const random = seededRandom(23);
    const startMs = systemClock.now();
    const record = (at: number) => ({
      topic: `in/${Math.floor(random.next() * 3)}`,
      payload: {
        ts: startMs + at * 10 - Math.floor(random.next() * 3000),
        k: `k${Math.floor(random.next() * 5)}`,
        v: Math.floor(random.next() * 100),
      },
    });
    const records = Array.from({ length: 3000 }, (_, at) => record(at));
    let site = await openSite({ compile: compileJob });
    const { dataDir } = site;
    for (let life = 0; life < 3; life++) {
      if (life > 0) {
        await site.close();
        const before = records.slice(0, life * 1000);
        const prepare = (source: { give: (...given: typeof before) => void }) =>
          source.give(...before);
        site = await openSite({ dataDir, compile: compileJob, prepare });
      }
      await site.runtime.applyJobs(twins(true));
      // A busy machine may be silent for long enough in between.
      const alerts = alertsOf(site);
      for (let at = life * 1000; at < (life + 1) * 1000;) {
        const count = 1 + Math.floor(random.next() * 200);
        const to = Math.min((life + 1) * 1000, at + count);
        site.source(sourceId).give(...records.slice(at, to));
        at = to;
        if (random.next() < 0.5) await site.settled();
        else await turn();
      }
      // Silence, so that timers of the live job are in the journal too.
      await waitFor('an alert of silence', () => alertsOf(site) > alerts);
    }
    await site.settled();
    await site.runtime.applyJobs(twins(false));
    await waitFor('everyone to be at the head', () =>
      site.runtime.jobReports().every(({ phase }) => phase === 'running'),
    );
    const lines = journalLines(site);
    await site.runtime.applyJobs([]);
    const rows = await site.take();
    expect(new Set(rows.map(({ epoch }) => epoch)).size).toBe(3);
    expect(lines.some(({ now }) => now !== undefined)).toBe(true);
    for (const { name, job } of mixed) {
      const live = textOf(rows.filter((row) => row.job === name));
      expect(live.length, name).toBeGreaterThan(200);
      expect(textOf(rows.filter((row) => row.job === `${name}-twin`)), name).toBe(live);
      expect(await dryRunText(job, lines), name).toBe(live);
    }
  }, 60_000);
});
