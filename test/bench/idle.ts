/** An agent at rest beside a bare Node process, and the time from start to its first record. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAll } from '../e2e/crash/audit.ts';
import { Site } from '../e2e/crash/site.ts';
import { pause } from '../support/pause.ts';
import { waitFor } from '../support/wait-for.ts';
import { memory } from './measure.ts';

/** V8 gives the memory of the start back only after a while at rest. */
const SETTLE_MS = 45_000;

const FILE_JOB = (path: string): string => `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: first }
sources:
  lines: { file: { path: "${path}", from: start } }
steps:
  - map: { derive: { seen: "time" } }
sinks:
  - { from: map, results: { dataset: first } }
`;

export interface Idle {
  readonly idleMiB: number;
  readonly nodeMiB: number;
  readonly startMs: number;
}

export async function idleAndStart(dir: string): Promise<Idle> {
  mkdirSync(dir, { recursive: true });
  const bare = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  const site = await Site.start({ dir, broker: 'mosquitto' });
  try {
    await pause(SETTLE_MS);
    const idleMiB = memory(site.agentPid).totalMiB;
    const nodeMiB = memory(bare.pid as number).totalMiB;
    return { idleMiB, nodeMiB, startMs: await firstRecord(site) };
  } finally {
    bare.kill('SIGTERM');
    await site.stop();
  }
}

/** A record waits in a file; the agent is started; its result says when it was read. */
async function firstRecord(site: Site): Promise<number> {
  const file = join(site.agentDir, 'lines.jsonl');
  writeFileSync(file, '');
  await site.apply(FILE_JOB(file));
  await site.running('first');
  await site.killAgent('SIGTERM');
  writeFileSync(file, '{"n":1}\n');
  const started = Date.now();
  site.startAgent();
  const rows = await waitFor(
    'the first record',
    async () => {
      const found = await readAll(site.api, 'first');
      return found.length > 0 ? found : undefined;
    },
    30_000,
  );
  const first = rows[0] as unknown as { time: number };
  return first.time - started;
}
