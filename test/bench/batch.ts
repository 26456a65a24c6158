/** The batch engine: what a task, a start, a query and a job at rest cost. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Queries, TaskCosts } from './batch-worker.ts';
import { batchAtRest, RESTING_JOBS } from './batch-rest.ts';
import type { Line } from './bench-line.ts';
import { quantile } from './measure.ts';

const WORKER_MS_MAX = 600_000;

export async function batch(dir: string): Promise<Line[]> {
  return [
    ...(await taskLines(join(dir, 'tasks'))),
    await startLine(join(dir, 'starts')),
    ...(await queryLines(join(dir, 'queries'))),
    await restLine(join(dir, 'rest')),
  ];
}

async function worker<T>(part: string, dir: string): Promise<T> {
  mkdirSync(dir, { recursive: true });
  const args = [process.argv[1] as string, 'batch-worker', part, dir];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: WORKER_MS_MAX });
  return JSON.parse(stdout) as T;
}

const NAMES = {
  chain: 'batch: one after the other',
  fan: 'batch: one, 998 beside each other, one',
  mapped: 'batch: 10 forEach of 1,000 items',
};

async function taskLines(dir: string): Promise<Line[]> {
  const { costs, callMicros, commitMicros } = await worker<TaskCosts>('tasks', dir);
  const lines = costs.map(({ what, tasks, wallMs, cpuMs }): Line => {
    const micros = (wallMs * 1000) / tasks;
    const cpu = ((cpuMs * 1000) / tasks).toFixed(0);
    const ratio =
      `${(micros / commitMicros).toFixed(1)} × one commit, ` +
      `${Math.round(micros / callMicros).toLocaleString('en')} × a call`;
    const measured = `${micros.toFixed(0)} µs a task, ${cpu} µs CPU (${tasks} tasks)`;
    return { what: NAMES[what], measured, ratio, budget: '' };
  });
  const measured = `${commitMicros.toFixed(0)} µs and ${callMicros.toFixed(2)} µs`;
  return [
    { what: 'bare LMDB commit, bare call (references)', measured, ratio: '1.00', budget: '' },
    ...lines,
  ];
}

async function startLine(dir: string): Promise<Line> {
  const delays = await worker<readonly number[]>('starts', dir);
  const [p50, p99] = [quantile(delays, 0.5), quantile(delays, 0.99)];
  return {
    what: 'batch: from schedule to start',
    measured: `p50 ${p50} ms, p99 ${p99} ms (${delays.length} fires of every: 1s)`,
    ratio: '',
    budget: '',
  };
}

async function queryLines(dir: string): Promise<Line[]> {
  const records = await worker<number>('fill', dir);
  const { agentMiB, queries } = await worker<Queries>('queries', dir);
  return queries.map(({ what, wallMs, rows, agentPeakMiB, childPeakMiB }) => {
    const perSecond = Math.round(records / (wallMs / 1000)).toLocaleString('en');
    const grown = Math.max(0, agentPeakMiB - agentMiB).toFixed(0);
    return {
      what: `SQL over ${records} records, ${what === 'hour' ? 'one hour of 24' : 'all of them'}`,
      measured:
        `${(wallMs / 1000).toFixed(1)} s, ${perSecond} records/s, ${rows} rows read; ` +
        `child ${childPeakMiB.toFixed(0)} MiB, agent + ${grown} MiB (anonymous, peak)`,
      ratio: '',
      budget: 'child ≤ 256 MiB',
    };
  });
}

async function restLine(dir: string): Promise<Line> {
  const { none, one, all } = await batchAtRest(dir);
  const each = ((all - one) * 1024) / (RESTING_JOBS - 1);
  return {
    what: `${RESTING_JOBS} scheduled batch jobs at rest`,
    measured:
      `anon ${all.toFixed(0)} MiB; the first adds ${(one - none).toFixed(1)} MiB to ` +
      `${none.toFixed(0)}, each other ${each.toFixed(0)} KiB`,
    ratio: `${(all / none).toFixed(2)} × without`,
    budget: '',
  };
}
