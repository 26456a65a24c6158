/**
 * `npm run bench [-- PART… --messages N --rate R --rounds K --json]`: what durability costs, as
 * ratios against a reference of the same run (DESIGN.md §12). Parts: throughput, latency, jobs,
 * idle, batch; without one, all of them. Every load goes to 127.0.0.1 and ends. By default the load
 * is as fast as the broker takes it; `--rate` paces it.
 *
 * The reference is MQTT.js at QoS 1 that only parses: same protocol (MQTT 5), same receive maximum.
 * Subjects and reference take turns, so that a noisy machine disturbs all of them alike.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { batch } from './batch.ts';
import { batchWorker } from './batch-worker.ts';
import type { Line } from './bench-line.ts';
import { idleAndStart } from './idle.ts';
import { publishLoad } from './load.ts';
import { median } from './measure.ts';
import { manyJobs } from './many-jobs.ts';
import { runReference } from './reference.ts';
import { type Throughput, agentRun, latencyRun, nodeRedRun, referenceRun } from './throughput.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: 'string', default: '80000' },
    rate: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

const PARTS = ['throughput', 'latency', 'jobs', 'idle', 'batch'];

async function main(): Promise<void> {
  const [role, ...args] = process.argv.slice(2);
  if (role === 'load') {
    const [port, messages, perSecond] = args.map(Number) as [number, number, number];
    await publishLoad({ port, messages, perSecond });
  } else if (role === 'reference') {
    await runReference(Number(args[0]), Number(args[1]));
  } else if (role === 'batch-worker') {
    await batchWorker(args[0] ?? '', args[1] ?? '');
  } else {
    await compare();
  }
}

async function compare(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'runnel-bench-'));
  const load = { messages: Number(values.messages), perSecond: Number(values.rate) };
  const lines: Line[] = [];
  const wanted = [...positionals, ...(values.only === undefined ? [] : [values.only])];
  const unknown = wanted.filter((part) => !PARTS.includes(part));
  if (unknown.length > 0) throw new Error(`no part ${unknown.join()}; parts: ${PARTS.join(', ')}`);
  const wants = (part: string): boolean => wanted.length === 0 || wanted.includes(part);
  try {
    if (wants('throughput')) lines.push(...(await throughput(dir, load)));
    if (wants('latency')) lines.push(...(await latency(dir)));
    if (wants('jobs')) lines.push(...(await jobs(dir)));
    if (wants('idle')) lines.push(...(await idle(dir)));
    if (wants('batch')) lines.push(...(await batch(join(dir, 'batch'))));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  if (values.json) process.stdout.write(`${JSON.stringify(lines)}\n`);
  else print(lines);
}

async function throughput(
  dir: string,
  load: { messages: number; perSecond: number },
): Promise<Line[]> {
  const runs: Record<string, Throughput[]> = {
    reference: [],
    mosquitto: [],
    embedded: [],
    red: [],
  };
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const at = (name: string): string => join(dir, `${name}-${round}`);
    runs.reference?.push(await referenceRun(at('reference'), load));
    runs.mosquitto?.push(await agentRun(at('mosquitto'), 'mosquitto', load));
    runs.embedded?.push(await agentRun(at('embedded'), 'embedded', load));
    const red = await nodeRedRun(at('node-red'), load);
    if (red !== undefined) runs.red?.push(red);
  }
  const micros = (name: string): number =>
    median((runs[name] ?? []).map((run) => run.cpuMicrosPerMessage));
  const reference = micros('reference');
  const durable = micros('mosquitto');
  const row = (what: string, name: string, ratio: string, budget: string): Line[] => {
    const of = runs[name] ?? [];
    if (of.length === 0) return [{ what, measured: 'left out', ratio: '', budget }];
    const memory = `RSS ${median(of.map((run) => run.totalMiB)).toFixed(0)} MiB`;
    const anon = `anon ${median(of.map((run) => run.anonMiB)).toFixed(0)} MiB`;
    const perCpu = Math.round(1e6 / micros(name));
    const cpu = `${micros(name).toFixed(1)} µs CPU/msg, ${perCpu} msg/CPU s`;
    return [{ what, measured: `${cpu}, ${memory} (${anon})`, ratio, budget }];
  };
  const written = median((runs.mosquitto ?? []).map((run) => run.writtenPerByte));
  return [
    ...row('MQTT.js QoS 1 that only parses (reference)', 'reference', '1.00', ''),
    ...row(
      'durable windowed job, mosquitto',
      'mosquitto',
      `${(durable / reference).toFixed(2)} × reference`,
      '≤ 1.3, goal 1.0',
    ),
    ...row(
      'durable windowed job, embedded broker',
      'embedded',
      `${(micros('embedded') / reference).toFixed(2)} × reference`,
      'broker included',
    ),
    ...row('Node-RED 4.1, same job, not durable', 'red', redRatio(micros('red'), durable), '≥ 5'),
    {
      what: 'bytes written per byte ingested',
      measured: written.toFixed(2),
      ratio: '',
      budget: '',
    },
  ];
}

function redRatio(red: number, durable: number): string {
  return Number.isNaN(red) ? '' : `${(red / durable).toFixed(1)} × our CPU`;
}

async function latency(dir: string): Promise<Line[]> {
  const { p50, p99, count } = await latencyRun(join(dir, 'latency'));
  return [
    {
      what: 'local alert latency at 5,000 msg/s',
      measured: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (${count} alerts)`,
      ratio: '',
      budget: 'p99 ≤ 25 ms',
    },
  ];
}

async function jobs(dir: string): Promise<Line[]> {
  const run = await manyJobs(join(dir, 'jobs'));
  return [
    {
      what: '300 jobs on one source of 500 msg/s',
      measured:
        `${(run.cpuShare * 100).toFixed(0)} % of a core, anon ${run.anonMiB.toFixed(0)} MiB, ` +
        `${run.right} of ${run.results} results right`,
      ratio: '',
      budget: '≤ 100 %, ≤ 120 MB, all right',
    },
  ];
}

async function idle(dir: string): Promise<Line[]> {
  const run = await idleAndStart(join(dir, 'idle'));
  return [
    {
      what: 'idle agent RSS',
      measured: `${run.idleMiB.toFixed(0)} MiB (bare Node ${run.nodeMiB.toFixed(0)} MiB)`,
      ratio: `${(run.idleMiB / run.nodeMiB).toFixed(2)} × bare Node`,
      budget: '≤ 1.6',
    },
    {
      what: 'agent start to first record processed',
      measured: `${run.startMs.toFixed(0)} ms`,
      ratio: '',
      budget: '≤ 500 ms',
    },
  ];
}

function print(lines: readonly Line[]): void {
  const width = Math.max(...lines.map((line) => line.what.length));
  for (const line of lines) {
    const budget = line.budget === '' ? '' : `  [budget ${line.budget}]`;
    const ratio = line.ratio === '' ? '' : `  ${line.ratio}`;
    process.stdout.write(`${line.what.padEnd(width)}  ${line.measured}${ratio}${budget}\n`);
  }
}

await main();
