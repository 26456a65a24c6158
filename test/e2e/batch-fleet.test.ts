/**
 * Batch jobs from the operator's command to the device and back, with a real control plane and real
 * agents as processes: one that can run SQL, one on which DuckDB is not installed.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
// First: what is described for OpenAPI must be made after the library has been loaded.
import { TestControlPlane } from '../support/control-plane.ts';
import { runnel } from '../control-plane/cli/cli-terminal.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Agent, Agents, programs } from './batch/fleet-site.ts';

const head = (name: string): string =>
  `apiVersion: runnel/v1\nkind: BatchJob\nmetadata: { name: ${name} }\n`;

/** A table of a file, of which the first try fails while the file is not there. */
const REPORT = `${head('report')}
partition: { every: 1d }
parameters: { least: { type: number, default: 0 } }
tasks:
  - { id: begin, value: { value: "{{ partition.date }}" } }
  - id: total
    needs: [begin]
    sql:
      query: >
        SELECT machine, sum(n)::INT AS n FROM file('in/rows.csv')
        WHERE n >= {{ params.least }} GROUP BY 1 ORDER BY 1
      output: { results: totals, key: machine }
`;
/** Seconds, of a kind that no other program is asked to sleep. */
const NAP = `600.${process.pid}`;
const SLOW = `${head('slow')}
tasks:
  - { id: short, command: { run: [/bin/sh, -c, "sleep 1; echo short is over"] } }
  - id: long
    needs: [short]
    when: params.long
    command: { run: [/bin/sh, -c, "sleep ${NAP}"] }
parameters: { long: { type: boolean, default: false } }
`;
const DAYS = `${head('days')}
partition: { every: 1d }
tasks: [{ id: day, value: { value: "{{ partition.date }}" } }]
`;
const NAPS = `${head('naps')}
partition: { every: 1d }
tasks: [{ id: long, command: { run: [/bin/sh, -c, "sleep ${NAP}"] } }]
`;
const FEED = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: feed }
sources:
  lines: { file: { path: in/lines.jsonl, every: 50ms }, time: payload.ts }
steps:
  - id: sums
    window: { tumbling: 1m }
    aggregate: { total: "sum(payload.n)" }
sinks:
  - { from: sums, results: { dataset: sums } }
`;
const CONSUMER = `${head('consumer')}
schedule: { dataset: sums }
tasks: [{ id: heard, value: { value: "{{ run.trigger }}" } }]
`;

interface Run {
  readonly run: string;
  readonly state: string;
  readonly trigger: string;
  readonly partition: string;
  readonly tries: number;
}

describe('batch jobs of a fleet', () => {
  let control: TestControlPlane;
  let agents: Agents;
  let press: Agent;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'runnel-batch-fleet-'));
    control = await TestControlPlane.start();
    agents = new Agents(dir);
    press = await agents.start(control, 'press-1');
    await agents.start(control, 'press-2', ['@duckdb']);
    await waitFor(
      'both to be online',
      async () => (await control.get('/agents?connection=online')).json.items.length === 2,
      30_000,
    );
  });
  afterAll(async () => {
    await agents.stop();
    await control.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const env = (): Record<string, string> => ({
    RUNNEL_URL: control.url,
    RUNNEL_TOKEN: control.adminToken,
  });
  const admin = (...args: string[]) => runnel(args, { env: env() });
  const apply = async (job: string, running: number): Promise<string> => {
    const applied = await runnel(['apply', '-f', '-'], { env: env(), input: job });
    expect(applied.code, applied.err).toBe(0);
    const name = /name: ([\w-]+)/.exec(job)![1]!;
    await waitFor(
      `${name} to run`,
      async () => (await control.get(`/jobs/${name}`)).json.counts.running === running,
      30_000,
    );
    return applied.err;
  };
  const runsOf = async (job: string): Promise<readonly Run[]> =>
    (await control.get(`/runs?job=${job}`)).json.items;
  const told = (): void =>
    onTestFailed(() => {
      process.stderr.write(agents.logs().slice(-8000));
    });

  it('an agent without DuckDB is not given SQL, and the reason shows', async () => {
    told();
    expect(await apply(REPORT, 1)).toContain(
      'report: 1 of 2 agents cannot run it and will not get it ' +
        '(press-2: the device lacks sql (DuckDB is not installed there))',
    );
    const { out } = await admin('describe', 'job', 'report');
    expect(out).toMatch(/Not placed\n +NAME +REASON\n +press-2 +the device lacks sql/);
    const ran = await admin('run', 'report', '--agent', 'press-2');
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('DuckDB is not installed');
  }, 60_000);

  it('a run that failed is told, described, and goes on from the task that failed', async () => {
    told();
    const failed = await admin(
      'run',
      'report',
      '--agent',
      'press-1',
      '--param',
      'least=2',
      '--wait',
    );
    expect(failed.code).not.toBe(0);
    const [run] = await runsOf('report');
    expect(run).toMatchObject({ state: 'failed', trigger: 'manual', tries: 1 });
    const described = await admin('describe', 'run', run!.run);
    expect(described.out).toMatch(/State: +failed\n/);
    expect(described.out).toContain('rows.csv');
    mkdirSync(join(press.data, 'in'), { recursive: true });
    writeFileSync(join(press.data, 'in/rows.csv'), 'machine,n\nm1,1\nm1,2\nm2,5\n');
    const again = await admin('rerun', run!.run, '--from', 'total');
    expect(again.code, again.err).toBe(0);
    await waitFor('the second try', async () => (await runsOf('report'))[0]?.state === 'success');
    const { json } = await control.get(`/runs/${run!.run}`);
    expect(json).toMatchObject({ tries: 2, parameters: { least: 2 } });
    const rows = await waitFor('its rows', async () => {
      const { items } = (await control.get('/datasets/totals/results')).json;
      return items.length === 2 && (items as { key: string; value: unknown }[]);
    });
    expect(rows.map(({ value }) => value)).toEqual([
      { machine: 'm1', n: 2 },
      { machine: 'm2', n: 5 },
    ]);
    expect((await admin('runs', 'report')).out).toMatch(/success +\S+ +press-1 .* manual/);
  }, 60_000);

  it('the log of a run is followed to its end', async () => {
    told();
    await apply(SLOW, 2);
    const asked = await admin('run', 'slow', '--agent', 'press-1');
    expect(asked.code, asked.err).toBe(0);
    const run = /run (\w+) of/.exec(asked.out)![1]!;
    await waitFor('it to be known', async () => (await runsOf('slow')).length === 1);
    const followed = await admin('logs', run, '--follow');
    expect(followed.code, followed.err).toBe(0);
    expect(followed.out).toMatch(/short#1/);
    expect((await runsOf('slow'))[0]).toMatchObject({ run, state: 'success' });
  }, 60_000);

  it('a run that is cancelled ends, and its program with it', async () => {
    told();
    await apply(SLOW, 2);
    const asked = await admin('run', 'slow', '--agent', 'press-1', '--param', 'long=true');
    const run = /run (\w+) of/.exec(asked.out)![1]!;
    await waitFor('its program to run', () => programs(NAP).length > 0);
    const cancelled = await admin('cancel', run);
    expect(cancelled.code, cancelled.err).toBe(0);
    await waitFor('it to be cancelled', async () => {
      return (await runsOf('slow')).find((each) => each.run === run)?.state === 'cancelled';
    });
    expect((await admin('describe', 'run', run)).out).toMatch(/long +command +cancelled/);
    expect(programs(NAP)).toEqual([]);
  }, 60_000);

  it('a backfill lists its partitions, runs them, and has nothing left to do', async () => {
    told();
    await apply(DAYS, 2);
    const range = ['--from', '2026-11-01', '--to', '2026-11-04', '--agent', 'press-1'];
    const dry = await admin('backfill', 'days', ...range, '--dry-run');
    expect(dry.out).toContain('  2026-11-01\n  2026-11-02\n  2026-11-03\n');
    expect(await runsOf('days')).toEqual([]);
    const begun = await admin('backfill', 'days', ...range);
    expect(begun.code, begun.err).toBe(0);
    expect(begun.out).toContain('press-1: 3 partitions');
    await waitFor('three runs', async () => {
      const runs = await runsOf('days');
      return runs.length === 3 && runs.every(({ state }) => state === 'success');
    });
    const partitions = (await runsOf('days')).map(({ partition }) => partition).toSorted();
    expect(partitions).toEqual(['2026-11-01', '2026-11-02', '2026-11-03']);
    const none = await admin('backfill', 'days', ...range, '--dry-run');
    expect(none.out).toContain('0 partitions');
  }, 60_000);

  it('a backfill that is stopped by its id ends its run and starts no more', async () => {
    told();
    await apply(NAPS, 2);
    const range = ['--from', '2026-11-01', '--to', '2026-11-04', '--agent', 'press-1'];
    const { out } = await admin('backfill', 'naps', ...range);
    const stop = /to stop it: runnel (.+)/.exec(out)?.[1]?.split(' ') ?? [];
    await waitFor('its program to run', () => programs(NAP).length > 0);
    const stopped = await admin(...stop);
    expect(stopped.code, stopped.err).toBe(0);
    const ended = async (): Promise<boolean> => {
      const { json } = await control.get('/events?type=backfill_ended&job=naps');
      return json.items.length === 1;
    };
    await waitFor('the backfill to end', ended);
    expect(await runsOf('naps')).toMatchObject([{ state: 'cancelled' }]);
    expect(programs(NAP)).toEqual([]);
    const again = await admin(...stop);
    expect(again.code).toBe(1);
    expect(again.err).toContain('no run or open backfill');
  }, 60_000);

  it('a window of a stream job starts the batch job that waits for its dataset', async () => {
    told();
    await apply(FEED, 2);
    await apply(CONSUMER, 2);
    const line = (n: number, ts: number): string => `${JSON.stringify({ n, ts })}\n`;
    const start = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;
    const path = join(press.data, 'in/lines.jsonl');
    appendFileSync(path, line(2, start) + line(3, start + 1000) + line(0, start + 60_000));
    await waitFor('the run', async () => {
      const [run] = await runsOf('consumer');
      return run?.state === 'success';
    });
    expect(await runsOf('consumer')).toMatchObject([{ trigger: 'dataset', state: 'success' }]);
  }, 60_000);

  it('a job that is paused is reported as such, and goes on', async () => {
    told();
    await admin('pause', 'consumer');
    const phase = async (): Promise<string> =>
      (await control.get('/jobs/consumer')).json.agents[0].phase;
    await waitFor('the pause', async () => (await phase()) === 'paused');
    await admin('resume', 'consumer');
    await waitFor('the end of the pause', async () => (await phase()) === 'running');
  }, 60_000);

  it('a device that is away is said to be, and keeps what it did', async () => {
    told();
    const before = await runsOf('days');
    await press.process.end('SIGTERM');
    const [refused, logs] = await Promise.all([
      admin('run', 'days', '--agent', 'press-1'),
      control.get(`/runs/${before[0]!.run}/logs`),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.out).toMatch(/^press-1: (timeout|unreachable): /);
    expect([logs.status, logs.json.code]).toEqual([503, 'device_unreachable']);
    press.startAgain();
    await waitFor(
      'it to be back',
      async () => (await admin('run', 'days', '--agent', 'press-1', '--wait')).code === 0,
      30_000,
    );
  }, 90_000);
});
