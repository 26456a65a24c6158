/** What scheduled batch jobs cost an agent while none of them runs. */
import { mkdirSync } from 'node:fs';
import { Site } from '../e2e/crash/site.ts';
import { pause } from '../support/pause.ts';
import { memory } from './measure.ts';

export const RESTING_JOBS = 200;
/** V8 gives the memory of the start back only after a while at rest. */
const SETTLE_MS = 45_000;

const JOB = (index: number): string => `apiVersion: runnel/v1
kind: BatchJob
metadata: { name: nightly-${index} }
parameters: { limit: { type: number, default: 7 } }
schedule: { cron: "${index % 60} 3 1 1 *", timezone: Europe/Paris }
partition: { every: 1d, timezone: Europe/Paris }
tasks:
  - id: daily
    sql:
      query: "SELECT machine, rms FROM file('in.csv') WHERE rms > {{ params.limit }}"
      output: { parquet: "rollup/nightly-${index}/{{ partition.date }}.parquet" }
  - { id: check, needs: daily, quality: { input: daily, checks: [ { notNull: machine } ] } }
  - { id: old, needs: check, purge: { files: "rollup/nightly-${index}/*.parquet", olderThan: 30d } }
`;

/** Anonymous memory in MiB with no job, with one, and with `RESTING_JOBS`. */
export interface AtRest {
  readonly none: number;
  readonly one: number;
  readonly all: number;
}

/** Each is read of an agent that has just begun with these jobs: what a device at rest has. */
export async function batchAtRest(
  dir: string,
  scripts: { readonly agentScript?: string; readonly controlScript?: string } = {},
): Promise<AtRest> {
  mkdirSync(dir, { recursive: true });
  const site = await Site.start({ dir, broker: 'embedded', ...scripts });
  let applied = 0;
  const rest = async (jobs: number): Promise<number> => {
    for (; applied < jobs; applied += 1) await site.apply(JOB(applied));
    if (jobs > 0) await site.running(`nightly-${jobs - 1}`);
    await site.killAgent('SIGTERM');
    site.startAgent();
    await pause(SETTLE_MS);
    return memory(site.agentPid).anonMiB;
  };
  try {
    return { none: await rest(0), one: await rest(1), all: await rest(RESTING_JOBS) };
  } finally {
    await site.stop();
  }
}
