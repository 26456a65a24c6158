/** A control plane and agents as built programs, and the rollout of one job over them. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { bins, runBin, start, type Started } from '../../support/processes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

export interface Rollout {
  readonly id: string;
  readonly version: number;
  readonly from: number | null;
  readonly phase: string;
  readonly batch: { readonly n: number; readonly of: number };
  readonly counts: Readonly<Record<'updated' | 'pending' | 'unknown' | 'failed', number>>;
  readonly reason: string;
}

export interface Device {
  readonly name: string;
  readonly connection: string;
  readonly state: string;
  /** What it says it runs. */
  readonly version: number | null;
  readonly reason: string;
}

/** Offline is who missed five: soon, and not because the machine is busy. */
const HEARTBEAT = '4s';
const WAIT_MS = 120_000;
const JOB = 'sums';

export class RolloutSite {
  readonly #dir = tempDir('rollouts');
  readonly #http: number;
  readonly #nats: number;
  readonly #agents = new Map<string, Started>();
  #control: Started | undefined;

  static async start(): Promise<RolloutSite> {
    const site = new RolloutSite(await freePort(), await freePort());
    await site.startControl();
    return site;
  }

  private constructor(http: number, nats: number) {
    this.#http = http;
    this.#nats = nats;
    onTestFinished(async () => {
      for (const agent of this.#agents.values()) await agent.end('SIGKILL');
      await this.#control?.end('SIGTERM');
    });
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#http}`;
  }

  get #token(): string {
    return readFileSync(join(this.#dir, 'control/admin-token'), 'utf8').trim();
  }

  async startControl(): Promise<void> {
    const http = ['--http', `127.0.0.1:${this.#http}`];
    const nats = ['--nats-listen', `127.0.0.1:${this.#nats}`];
    const pace = ['--heartbeat-interval', HEARTBEAT];
    const args = ['serve', '--data', join(this.#dir, 'control'), ...http, ...nats, ...pace];
    this.#control = start(bins.control, args, join(this.#dir, 'control.log'));
    await waitFor(
      'the control plane',
      async () => (await fetch(`${this.#url}/readyz`)).ok,
      WAIT_MS,
    );
  }

  /** SIGKILL, and another one at once. */
  async restartControl(): Promise<void> {
    await this.#control?.end('SIGKILL');
    await this.startControl();
  }

  /** SIGKILL of the control plane's own nats-server. */
  killNats(): void {
    const text = readFileSync(join(this.#dir, 'control/nats/server.json'), 'utf8');
    process.kill((JSON.parse(text) as { pid: number }).pid, 'SIGKILL');
  }

  enrol(name: string, site: string): void {
    const token = this.runnel('token', 'create', '--role', 'agent', '--quiet').trim();
    const place = ['--url', this.#url, '--token', token, '--data', join(this.#dir, name)];
    runBin('agent', ['enroll', ...place, '--name', name, '--label', `site=${site}`]);
    mkdirSync(join(this.#dir, name, 'files'));
    this.startAgent(name);
  }

  startAgent(name: string): void {
    const args = ['run', '--data', join(this.#dir, name)];
    this.#agents.set(name, start(bins.agent, args, join(this.#dir, `${name}.log`)));
  }

  async killAgent(name: string): Promise<void> {
    await this.#agents.get(name)?.end('SIGKILL');
  }

  async online(count: number): Promise<void> {
    await waitFor(
      `${count} agents`,
      async () => (await this.#items('agents?connection=online')).length === count,
      WAIT_MS,
    );
  }

  /** Throws what the program wrote when it does not end with 0. */
  runnel(...args: string[]): string {
    return runBin('runnel', args, { RUNNEL_URL: this.#url, RUNNEL_TOKEN: this.#token });
  }

  apply(text: string, ...options: string[]): string {
    const file = join(this.#dir, 'job.yaml');
    writeFileSync(file, text);
    return this.runnel('apply', '-f', file, ...options);
  }

  async rollout(): Promise<Rollout> {
    return await this.#get<Rollout>(`jobs/${JOB}/rollout`);
  }

  history(): Promise<Rollout[]> {
    return this.#items<Rollout>(`jobs/${JOB}/rollouts`);
  }

  async devices(): Promise<ReadonlyMap<string, Device>> {
    const items = await this.#items<Device>(`jobs/${JOB}/rollout/agents`);
    return new Map(items.map((item) => [item.name, item]));
  }

  async reaches(version: number, phase: string): Promise<Rollout> {
    return await this.#until(`version ${version} ${phase}`, async () => {
      const rollout = await this.rollout();
      return rollout.version === version && rollout.phase === phase ? rollout : undefined;
    });
  }

  async someAreUpdated(version: number): Promise<Rollout> {
    return await this.#until('a device with the version', async () => {
      const rollout = await this.rollout();
      return rollout.version === version && rollout.counts.updated > 0 ? rollout : undefined;
    });
  }

  /** By name, what each says it runs; null when it does not have the job. */
  async run(versions: Readonly<Record<string, number | null>>): Promise<void> {
    await this.#until(`agents to run ${JSON.stringify(versions)}`, async () => {
      const devices = await this.devices();
      return Object.entries(versions).every(
        ([name, version]) => (devices.get(name)?.version ?? null) === version,
      );
    });
  }

  async connection(name: string, wanted: string): Promise<void> {
    await this.#until(`${name} to be ${wanted}`, async () => {
      const agents = await this.#items<Device>('agents');
      return agents.some((agent) => agent.name === name && agent.connection === wanted);
    });
  }

  /** Events of minute `minute` for the job on this agent. */
  write(name: string, minute: number, count: number): void {
    const line = `${JSON.stringify({ ts: Date.UTC(2026, 0, 1, 0, minute) })}\n`;
    appendFileSync(join(this.#dir, name, 'files/in.jsonl'), line.repeat(count));
  }

  async totals(count: number): Promise<number[]> {
    return await this.#until(`${count} results`, async () => {
      const path = `datasets/${JOB}/results?limit=1000`;
      const { items } = await this.#get<{ items?: { value: { total: number } }[] }>(path);
      return items?.length === count ? items.map(({ value }) => value.total) : undefined;
    });
  }

  async #until<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
    return await waitFor(what, probe, WAIT_MS).catch(async (error: unknown) => {
      const devices = [...(await this.devices()).values()];
      const seen = JSON.stringify({ ...(await this.rollout()), devices }, undefined, 1);
      throw new Error(`${String(error)}\n${seen}`, { cause: error });
    });
  }

  async #get<T>(path: string): Promise<T> {
    const headers = { authorization: `Bearer ${this.#token}` };
    return (await (await fetch(`${this.#url}/api/v1/${path}`, { headers })).json()) as T;
  }

  async #items<T>(path: string): Promise<T[]> {
    return (await this.#get<{ items: T[] }>(path)).items;
  }
}

/** Counts events by minute; every version differs in its text and its plan. */
export function sums(plan: string, window = '1m'): string {
  return `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: ${JOB} }
onIncompatibleState: fail
${plan}
sources:
  lines: { file: { path: files/in.jsonl, every: 50ms }, time: payload.ts }
steps:
  - id: sum
    window: { tumbling: ${window} }
    aggregate: { total: "count()" }
sinks:
  - { from: sum, results: { dataset: ${JOB} } }
`;
}
