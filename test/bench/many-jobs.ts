/** 300 windowed jobs that share one source of 500 msg/s: one core, every result right. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readAll } from '../e2e/crash/audit.ts';
import { Site } from '../e2e/crash/site.ts';
import { waitFor } from '../support/wait-for.ts';
import { cpuMicros, memory } from './measure.ts';

const JOBS = 300;
const PER_SECOND = 500;
const SECONDS = 30;

function job(index: number, url: string): string {
  return `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: job-${index} }
sources:
  readings: { mqtt: { url: "${url}", topic: "press/+/vibration", qos: 1 } }
steps:
  - id: totals
    window: { tumbling: 5s, by: "payload.machine" }
    aggregate: { n: "count()", total: "sum(payload.i)" }
sinks:
  - { from: totals, results: { dataset: jobs } }
`;
}

export interface ManyJobs {
  readonly cpuShare: number;
  readonly anonMiB: number;
  readonly results: number;
  readonly right: number;
}

/** Every job must have the same windows; a result is right when all 300 agree on it. */
export async function manyJobs(dir: string): Promise<ManyJobs> {
  mkdirSync(dir, { recursive: true });
  const site = await Site.start({ dir, broker: 'mosquitto' });
  try {
    const url = `mqtt://127.0.0.1:${site.brokerPort}`;
    for (let index = 0; index < JOBS; index += 1) await site.apply(job(index, url));
    await site.running(`job-${JOBS - 1}`);
    await site.connected();
    const cpu = cpuMicros(site.agentPid);
    const started = performance.now();
    const args = ['load', site.brokerPort, PER_SECOND * SECONDS, PER_SECOND].map(String);
    const load = spawn(process.execPath, [process.argv[1] as string, ...args]);
    await new Promise((resolve) => load.once('exit', resolve));
    const cpuShare = (cpuMicros(site.agentPid) - cpu) / 1000 / (performance.now() - started);
    const { anonMiB } = memory(site.agentPid);
    let before = -1;
    const rows = await waitFor(
      'the rows of all jobs',
      async () => {
        const found = await readAll(site.api, 'jobs');
        const same = found.length === before && found.length > 0;
        before = found.length;
        return same ? found : undefined;
      },
      120_000,
    );
    const agreed = new Map<string, number>();
    for (const row of rows) {
      const id = JSON.stringify([row.key, row.windowStart, row.value]);
      agreed.set(id, (agreed.get(id) ?? 0) + 1);
    }
    const right = [...agreed.values()].filter((count) => count === JOBS).length * JOBS;
    return { cpuShare, anonMiB, results: rows.length, right };
  } finally {
    await site.stop();
  }
}
