/** Measurements of the batch engine, each in a process of its own that writes one JSON line. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@runnel/shared/clock.ts';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { openCheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { waitFor } from '../support/wait-for.ts';
import { batchJob, fillJournal, openBatchAgent } from './batch-agent.ts';
import { cpuMicros, median, memory } from './measure.ts';

export interface TaskCost {
  readonly what: 'chain' | 'fan' | 'mapped';
  readonly tasks: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

export interface TaskCosts {
  readonly costs: readonly TaskCost[];
  /** One awaited function that does nothing. */
  readonly callMicros: number;
  /** One value put and flushed to disk. */
  readonly commitMicros: number;
}

export interface Query {
  readonly what: 'all' | 'hour';
  readonly wallMs: number;
  /** Anonymous memory: the map of the store is file-backed. */
  readonly agentPeakMiB: number;
  readonly childPeakMiB: number;
  /** Rows that were brought to the query. */
  readonly rows: number;
}

export interface Queries {
  /** Before the first query. */
  readonly agentMiB: number;
  readonly queries: readonly Query[];
}

const TASKS = 1000;
const MAPS = 10;
const STARTS = 60;
const RECORDS = 1_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const NOTHING = { value: { value: 1 } };
const numbered = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

const GRAPHS = {
  chain: numbered(TASKS, (n) => ({
    id: `t${n}`,
    ...(n > 0 && { needs: `t${n - 1}` }),
    ...NOTHING,
  })),
  fan: [
    { id: 'first', ...NOTHING },
    ...numbered(TASKS - 2, (n) => ({ id: `t${n}`, needs: 'first', ...NOTHING })),
    { id: 'last', needs: numbered(TASKS - 2, (n) => `t${n}`), ...NOTHING },
  ],
  mapped: numbered(MAPS, (n) => ({
    id: `map${n}`,
    forEach: numbered(TASKS, (item) => item),
    value: { value: '{{ item }}' },
  })),
};

/** The part's figures, as JSON on stdout. */
export async function batchWorker(part: string, dir: string): Promise<void> {
  const parts: Readonly<Record<string, (dir: string) => Promise<unknown>>> = {
    tasks,
    starts,
    fill,
    queries,
  };
  const found = await parts[part]?.(dir);
  process.stdout.write(`${JSON.stringify(found)}\n`);
}

async function tasks(dir: string): Promise<TaskCosts> {
  const names = ['chain', 'fan', 'mapped'] as const;
  const jobs = names.map((name) => batchJob(name, { tasks: GRAPHS[name] }));
  const agent = await openBatchAgent(join(dir, 'agent'), jobs);
  const costs: TaskCost[] = [];
  // In turn, so that a noisy machine disturbs the reference like what is measured.
  const commits = [await bareCommits(join(dir, 'bare-before'))];
  for (const what of names) {
    const cpu = cpuMicros(process.pid);
    const started = performance.now();
    const { run } = await agent.run(what);
    if (run.state !== 'success') throw new Error(`${what}: ${run.state} ${run.error?.message}`);
    const wallMs = performance.now() - started;
    const cpuMs = (cpuMicros(process.pid) - cpu) / 1000;
    costs.push({ what, tasks: what === 'mapped' ? MAPS * TASKS : TASKS, wallMs, cpuMs });
    commits.push(await bareCommits(join(dir, `bare-${what}`)));
  }
  await agent.runtime.close();
  return { costs, callMicros: await bareCalls(), commitMicros: median(commits) };
}

async function bareCalls(): Promise<number> {
  const count = 1_000_000;
  let done = 0;
  const nothing = async (): Promise<void> => {
    done += 1;
  };
  const started = performance.now();
  for (let index = 0; index < count; index += 1) await nothing();
  return ((performance.now() - started) * 1000) / done;
}

async function bareCommits(dir: string): Promise<number> {
  const store = openCheckpointStore({
    dir,
    bytesMax: 1 << 28,
    monotonicMs: () => systemClock.monotonicMs(),
  });
  const value = Buffer.alloc(300, 1);
  const started = performance.now();
  for (let index = 0; index < TASKS; index += 1) {
    await store.commit((tx) => tx.put('batch', ['bare', index], value));
  }
  const micros = ((performance.now() - started) * 1000) / TASKS;
  await store.close();
  return micros;
}

/** One million records of the last day, left by a process that is gone: its memory is not ours. */
async function fill(dir: string): Promise<number> {
  const to = systemClock.now();
  const { name: readings } = READINGS;
  const parsed = parseJobDocument(queryJob('all', '').document).sources[readings];
  const source = `${parsed?.kind}-${parsed?.connectorFingerprint}`;
  await fillJournal(join(dir, 'agent'), source, RECORDS, [to - DAY_MS, to]);
  return RECORDS;
}

/** Milliseconds from the time of the schedule to the start of the first task, of each fire. */
async function starts(dir: string): Promise<readonly number[]> {
  const job = batchJob('tick', { schedule: { every: '1s' }, tasks: [{ id: 'only', ...NOTHING }] });
  const agent = await openBatchAgent(join(dir, 'agent'), [job]);
  const delays = new Map<string, number>();
  const stop = agent.runtime.batch.onRunChange(({ run, tasks: changed }) => {
    const startedAt = changed[0]?.startedAt;
    if (run.trigger !== 'schedule' || startedAt == null || delays.has(run.id)) return;
    delays.set(run.id, startedAt - run.at);
  });
  await waitFor(`${STARTS} fires`, () => delays.size >= STARTS, (STARTS + 30) * 1000);
  stop();
  await agent.runtime.close();
  return [...delays.values()];
}

const READINGS = { name: 'readings', definition: { mqtt: { topic: 'press/+/vibration' } } };

function queryJob(name: 'all' | 'hour', where: string): DesiredJob {
  const select = "SELECT machine, avg(rms) AS rms, count(*) AS n FROM journal('readings')";
  const sql = { query: `${select} ${where} GROUP BY machine ORDER BY machine` };
  const sources = { [READINGS.name]: READINGS.definition };
  return batchJob(name, { sources, history: '25h', tasks: [{ id: 'q', sql }] });
}

/** After `fill`. */
async function queries(dir: string): Promise<Queries> {
  const noon = systemClock.now() - DAY_MS / 2;
  const within = `WHERE _time >= ${noon} AND _time < ${noon + HOUR_MS}`;
  const jobs = [queryJob('hour', within), queryJob('all', '')];
  const agent = await openBatchAgent(join(dir, 'agent'), jobs);
  const found: Query[] = [];
  const { anonMiB: agentMiB } = memory(process.pid);
  for (const what of ['hour', 'all'] as const) {
    const peaks = new Peaks();
    const started = performance.now();
    const { run, tasks: ended } = await agent.run(what);
    const wallMs = performance.now() - started;
    peaks.stop();
    if (run.state !== 'success') throw new Error(`${what}: ${JSON.stringify([run, ended])}`);
    const output = ended.at(-1)?.output as {
      readonly inputs: { readonly readings: { readonly rows: number } };
    };
    const { agentMiB: agentPeakMiB, childMiB: childPeakMiB } = peaks;
    found.push({ what, wallMs, agentPeakMiB, childPeakMiB, rows: output.inputs.readings.rows });
  }
  await agent.runtime.close();
  return { agentMiB, queries: found };
}

/** The most anonymous memory of this process and of those that it starts, looked at every 10 ms. */
class Peaks {
  agentMiB = 0;
  childMiB = 0;
  readonly #timer = setInterval(() => this.#look(), 10);

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.agentMiB = Math.max(this.agentMiB, memory(process.pid).anonMiB);
    for (const thread of readdirSync('/proc/self/task')) {
      const children = readFileSync(`/proc/self/task/${thread}/children`, 'utf8');
      for (const pid of children.split(' ').filter((text) => text !== '')) {
        this.childMiB = Math.max(this.childMiB, anonMiB(Number(pid)));
      }
    }
  }
}

/** 0 for a process that is gone. */
function anonMiB(pid: number): number {
  try {
    return memory(pid).anonMiB || 0;
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0;
    throw error;
  }
}
