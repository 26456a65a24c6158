/**
 * Throughput and latency runs. Each starts its own broker and subject, lets the load run from a
 * process of its own, and reads CPU time, memory and bytes written from the kernel.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { Site } from '../e2e/crash/site.ts';
import { freePort } from '../support/free-port.ts';
import { repository } from '../support/processes.ts';
import { startMosquittoAt } from './mosquitto-at.ts';
import { bytesWritten, cpuMicros, memory, quantile } from './measure.ts';
import { startNodeRed } from './node-red.ts';
import { payloadOf } from './load.ts';

export interface Load {
  readonly messages: number;
  readonly perSecond: number;
}

export interface Throughput {
  readonly cpuMicrosPerMessage: number;
  readonly anonMiB: number;
  readonly totalMiB: number;
  readonly writtenPerByte: number;
}

/** This same bundle in another role, as a process of its own. */
function role(...args: readonly (string | number)[]): ChildProcess {
  return spawn(process.execPath, [process.argv[1] as string, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once('exit', resolve));
}

async function word(child: ChildProcess, wanted: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`ended with ${code} before "${wanted}"`)));
    child.stdout?.on('data', (bytes: Buffer) => {
      if (bytes.toString().includes(wanted)) resolve();
    });
  });
}

/** Runs the load while `finished` waits for the subject; what the subject spent meanwhile. */
async function measured(
  pid: number,
  port: number,
  load: Load,
  finished: () => Promise<void>,
): Promise<Throughput> {
  const cpu = cpuMicros(pid);
  const written = bytesWritten(pid);
  const done = finished();
  const sender = role('load', port, load.messages, load.perSecond);
  await Promise.all([done, ended(sender)]);
  const bytes = load.messages * payloadOf(load.messages, Date.now()).length;
  return {
    cpuMicrosPerMessage: (cpuMicros(pid) - cpu) / load.messages,
    writtenPerByte: (bytesWritten(pid) - written) / bytes,
    ...memory(pid),
  };
}

export async function referenceRun(dir: string, load: Load): Promise<Throughput> {
  mkdirSync(dir, { recursive: true });
  const broker = await startMosquittoAt(dir);
  const subject = role('reference', broker.port, load.messages);
  try {
    await word(subject, 'ready');
    return await measured(subject.pid as number, broker.port, load, () => word(subject, 'done'));
  } finally {
    subject.kill('SIGTERM');
    await ended(subject);
    await broker.end();
  }
}

function windowedJob(url: string | undefined, last: number): string {
  const broker = url === undefined ? '' : `url: "${url}", `;
  const sink = url === undefined ? '' : `url: "${url}", `;
  return `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: bench }
sources:
  readings: { mqtt: { ${broker}topic: "press/+/vibration", qos: 1 }, time: "payload.ts" }
steps:
  - filter: "payload.status == 'ok'"
  - id: totals
    window: { tumbling: 10s, by: "payload.machine" }
    aggregate:
      n: "count()"
      total: "sum(payload.rms)"
      low: "min(payload.rms)"
      high: "max(payload.rms)"
  - { id: last, from: filter, filter: "payload.i == ${last}" }
sinks:
  - { from: totals, results: { dataset: totals } }
  - { from: last, mqtt: { ${sink}topic: "bench/done", qos: 1 } }
`;
}

async function subscriber(port: number, topic: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4 });
  await client.subscribeAsync(topic, { qos: 0 });
  return client;
}

function firstMessage(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    client.once('message', () => resolve());
  });
}

export async function agentRun(
  dir: string,
  broker: 'mosquitto' | 'embedded',
  load: Load,
): Promise<Throughput> {
  mkdirSync(dir, { recursive: true });
  const site = await Site.start({ dir, broker });
  const url = broker === 'mosquitto' ? `mqtt://127.0.0.1:${site.brokerPort}` : undefined;
  try {
    await site.apply(windowedJob(url, load.messages - 1));
    await site.running('bench');
    await site.connected();
    const listener = await subscriber(site.brokerPort, 'bench/done');
    const run = await measured(site.agentPid, site.brokerPort, load, () => firstMessage(listener));
    await listener.endAsync();
    return run;
  } finally {
    await site.stop();
  }
}

export async function nodeRedRun(dir: string, load: Load): Promise<Throughput | undefined> {
  mkdirSync(dir, { recursive: true });
  const broker = await startMosquittoAt(dir);
  const cache = join(repository, '.runnel/bench/node-red');
  const port = await freePort();
  const subject = startNodeRed(cache, dir, broker.port, port, load.messages - 1);
  try {
    if (subject === undefined) return undefined;
    await broker.subscribed('press/+/vibration');
    const listener = await subscriber(broker.port, 'bench/done');
    const pid = subject.pid as number;
    const run = await measured(pid, broker.port, load, () => firstMessage(listener));
    await listener.endAsync();
    return run;
  } finally {
    subject?.kill('SIGTERM');
    if (subject !== undefined) await ended(subject);
    await broker.end();
  }
}

const LATENCY_JOB = (url: string): string => `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: latency }
sources:
  readings: { mqtt: { url: "${url}", topic: "press/+/vibration", qos: 1 }, time: "payload.ts" }
steps:
  - alert:
      when: "payload.rms > 0.99"
      clear: "payload.rms <= 0.99"
      by: "payload.i"
      severity: warning
sinks:
  - { from: alert, mqtt: { url: "${url}", topic: "bench/alert", qos: 0 } }
`;

/** From the publisher's `sent` to the alert's arrival at a local subscriber, at 5,000 msg/s. */
export async function latencyRun(
  dir: string,
): Promise<{ p50: number; p99: number; count: number }> {
  mkdirSync(dir, { recursive: true });
  const site = await Site.start({ dir, broker: 'mosquitto' });
  try {
    await site.apply(LATENCY_JOB(`mqtt://127.0.0.1:${site.brokerPort}`));
    await site.running('latency');
    await site.connected();
    const listener = await subscriber(site.brokerPort, 'bench/alert');
    const waits: number[] = [];
    listener.on('message', (_topic, payload) => {
      const alert = JSON.parse(payload.toString()) as { time: number };
      waits.push(Date.now() - alert.time);
    });
    await ended(role('load', site.brokerPort, 50_000, 5000));
    await new Promise((resolve) => {
      setTimeout(resolve, 1000);
    });
    await listener.endAsync();
    return { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), count: waits.length };
  } finally {
    await site.stop();
  }
}
