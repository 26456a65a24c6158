/**
 * A device's whole life with the built programs: enrolled, given a job, its results at the control
 * plane, kept from what its policy does not allow, restarted while the control plane is away, given
 * another parameter, and revoked in the end.
 *
 *   control plane  ──apply──────────────x down             ┌─ up ──────── revoke
 *   agent          ──run──file lines────────kill─┌─run─lines┴─▶ results ──▶ still runs
 */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { bins, runBin, start, type Started } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const job = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: lines }
sources:
  lines: { file: { path: files/in.jsonl, every: 50ms } }
parameters: { from: { type: number, default: 0 } }
steps:
  - id: pass
    filter: "payload.n >= params.from"
sinks:
  - { from: pass, results: { dataset: lines } }
`;
/** Beside what is allowed without one: no host readings, no other paths. */
const policy = `apiVersion: runnel/v1
kind: AgentPolicy
sources: [file, mqtt]
`;
const greedy = job.replaceAll('lines', 'greedy').replace('files/in.jsonl', '/etc/hostname');

interface Agent {
  readonly id: string;
  readonly connection: string;
  readonly desiredRevision: number;
  readonly observedRevision: number;
  readonly jobs: { name: string; version: number | null; phase: string }[];
}

class Site {
  readonly dir = tempDir('life');
  readonly agentDir = join(this.dir, 'agent');
  readonly #controlDir = join(this.dir, 'control');
  readonly #ports: Promise<readonly [number, number]>;
  url = '';
  token = '';
  control!: Started;
  agent!: Started;

  constructor() {
    this.#ports = Promise.all([freePort(), freePort()]);
    onTestFinished(async () => {
      await this.agent?.end('SIGKILL');
      await this.control?.end('SIGTERM');
    });
  }

  async startControl(): Promise<void> {
    const [http, nats] = await this.#ports;
    this.url = `http://127.0.0.1:${http}`;
    const listen = ['--http', `127.0.0.1:${http}`, '--nats-listen', `127.0.0.1:${nats}`];
    const args = ['serve', '--data', this.#controlDir, ...listen];
    this.control = start(bins.control, args, join(this.dir, 'control.log'));
    await waitFor('the control plane', async () => (await fetch(`${this.url}/readyz`)).ok, 60_000);
    this.token = readFileSync(join(this.#controlDir, 'admin-token'), 'utf8').trim();
  }

  startAgent(): void {
    const args = ['run', '--data', this.agentDir];
    this.agent = start(bins.agent, args, join(this.dir, 'agent.log'));
  }

  runnel(...args: string[]): string {
    return runBin('runnel', args, { RUNNEL_URL: this.url, RUNNEL_TOKEN: this.token });
  }

  async get<T>(path: string): Promise<T> {
    const headers = { authorization: `Bearer ${this.token}` };
    return (await (await fetch(`${this.url}/api/v1/${path}`, { headers })).json()) as T;
  }

  async agents(): Promise<Agent[]> {
    return (await this.get<{ items: Agent[] }>('agents')).items;
  }

  async results(dataset: string): Promise<number[]> {
    const path = `datasets/${dataset}/results?limit=1000`;
    const { items } = await this.get<{ items?: { value: { n: number } }[] }>(path);
    return (items ?? []).map(({ value }) => value.n);
  }

  write(from: number, to: number): void {
    let lines = '';
    for (let n = from; n < to; n++) lines += `${JSON.stringify({ n })}\n`;
    appendFileSync(join(this.agentDir, 'files/in.jsonl'), lines);
  }

  /** What was said of where it cannot run. */
  apply(text: string): readonly string[] {
    const file = join(this.dir, 'job.yaml');
    writeFileSync(file, text);
    const reply = JSON.parse(this.runnel('apply', '-f', file, '-o', 'json')) as {
      readonly items: readonly [{ readonly warnings: readonly string[] }];
    };
    return reply.items[0].warnings;
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** It reaches the job that runs: what it shuts out is in no result. */
async function setParameter(site: Site): Promise<void> {
  site.runnel('params', 'set', 'lines', 'from=1000', '--site', 'lyon');
  await waitFor('the parameter', async () => {
    const [agent] = await site.agents();
    return agent?.desiredRevision === agent?.observedRevision;
  });
  site.write(500, 600);
  site.write(1000, 1010);
  await waitFor(
    'what the parameter lets through',
    async () => (await site.results('lines')).length >= 410,
    20_000,
  );
  expect((await site.results('lines')).filter((n) => n >= 400 && n < 1000)).toEqual([]);
}

it('enrol, run, offline restart, late results, refusal, revocation', async () => {
  const site = new Site();
  await site.startControl();
  const join1 = site.runnel('token', 'create', '--role', 'agent', '--quiet').trim();
  const place = ['--url', site.url, '--token', join1, '--data', site.agentDir];
  runBin('agent', ['enroll', ...place, '--name', 'press-1', '--label', 'site=lyon']);
  mkdirSync(join(site.agentDir, 'files'));
  writeFileSync(join(site.agentDir, 'policy.yaml'), policy);
  site.startAgent();
  await waitFor('online', async () => (await site.agents())[0]?.connection === 'online', 20_000);

  site.apply(job);
  site.write(0, 100);
  const arrived = async (count: number) => (await site.results('lines')).length >= count;
  await waitFor('the first results', () => arrived(100), 20_000);
  await waitFor('running', async () => (await site.agents())[0]?.jobs[0]?.phase === 'running');

  expect(site.apply(greedy)[0]).toContain(
    'press-1: sources.greedy: path /etc/hostname is not under the data directory',
  );
  expect(
    site.apply(greedy.replace('file: { path: /etc/hostname, every: 50ms }', 'host: {}'))[0],
  ).toContain('policy.yaml does not allow host as a source');
  await waitFor(
    'the refusal',
    async () => {
      const jobs = (await site.agents())[0]?.jobs ?? [];
      return jobs.find(({ name }) => name === 'greedy')?.phase === 'refused';
    },
    20_000,
  );
  site.runnel('delete', 'job', 'greedy');

  await site.control.end('SIGKILL');
  site.write(100, 200);
  await site.agent.end('SIGKILL');
  site.write(200, 300);
  site.startAgent();
  await waitFor('the job without a network', () => site.agent.output().includes('applied'));
  site.write(300, 400);
  await site.startControl();
  await waitFor('the late results', () => arrived(400), 40_000);
  expect((await site.results('lines')).toSorted((a, b) => a - b)).toEqual(upTo(400));

  await setParameter(site);
  const status = (): { jobs: { phase: string }[]; conditions: { reason: string }[] } => {
    // Exit code 1 says that there is an error condition, which here is the point.
    try {
      return JSON.parse(
        runBin('agent', ['status', '--data', site.agentDir, '-o', 'json']),
      ) as never;
    } catch (error) {
      return JSON.parse((error as { stdout: string }).stdout) as never;
    }
  };
  await waitFor('the deleted job to go', () => status().jobs.length === 1, 20_000);
  const [agent] = await site.agents();
  site.runnel('agents', 'revoke', agent?.id ?? '');
  await waitFor(
    'the revocation',
    () => status().conditions.some(({ reason }) => reason === 'Revoked'),
    20_000,
  );
  expect(status().jobs.map(({ phase }) => phase)).toEqual(['running']);
}, 120_000);
