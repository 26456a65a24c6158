/**
 * SIGKILL of the control plane and of its nats-server while a device reports runs: each run arrives
 * in its final state, and nothing of it counts twice.
 *
 *   device   run run run run run run run run run run run run
 *   servers    nats x     control x     nats x     control x
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFailed, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { pause } from '../support/pause.ts';
import { bundleTool, start, type Started } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { Agents } from './batch/fleet-site.ts';

const RUNS = 12;
/** Between the times of the schedule, and between the kills. */
const EVERY_MS = 1000;
const KILL_EVERY_MS = 2500;
const TASKS = ['list', 'each', 'rows', 'share'];

const job = (times: readonly string[]): string => `apiVersion: runnel/v1
kind: BatchJob
metadata: { name: often }
schedule:
  at: [${times.map((time) => `"${time}"`).join(', ')}]
  misfire: runAll
  overlap: bufferAll
tasks:
  - { id: list, value: { value: [1, 2, 3] } }
  - { id: each, needs: [list], forEach: tasks.list.output, value: { value: "{{ item }}" } }
  - id: rows
    needs: [each]
    command: { run: [/bin/echo, '{"n": 1}'], output: jsonl }
  - { id: share, needs: [rows], publish: { from: rows, dataset: counted, deliver: true } }
`;

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string;
}

class Control {
  readonly url: string;
  readonly #dir: string;
  readonly #args: readonly string[];
  readonly #script: string;
  #process: Started | undefined;

  static async make(dir: string): Promise<Control> {
    return new Control(dir, await freePort(), await freePort());
  }

  private constructor(dir: string, http: number, nats: number) {
    this.#dir = dir;
    this.url = `http://127.0.0.1:${http}`;
    const listen = ['--http', `127.0.0.1:${http}`, '--nats-listen', `127.0.0.1:${nats}`];
    this.#args = ['serve', '--data', join(dir, 'control'), ...listen];
    this.#script = bundleTool('control-plane/server-cli.ts');
  }

  async start(): Promise<void> {
    this.#process = start(this.#script, this.#args, join(this.#dir, 'control.log'));
    await waitFor('the control plane', async () => (await fetch(`${this.url}/readyz`)).ok, 30_000);
  }

  async kill(): Promise<void> {
    await this.#process?.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#process?.end('SIGTERM');
  }

  killNats(): void {
    const text = readFileSync(join(this.#dir, 'control/nats/server.json'), 'utf8');
    process.kill((JSON.parse(text) as { pid: number }).pid, 'SIGKILL');
  }

  log(): string {
    return this.#process?.output() ?? '';
  }

  async ask<T>(path: string, post?: { readonly type: string; readonly body: string }): Promise<T> {
    const token = readFileSync(join(this.#dir, 'control/admin-token'), 'utf8').trim();
    const response = await fetch(`${this.url}/api/v1${path}`, {
      headers: {
        authorization: `Bearer ${token}`,
        ...(post !== undefined && { 'content-type': post.type }),
      },
      ...(post !== undefined && { method: 'POST', body: post.body }),
      signal: AbortSignal.timeout(5000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async joinToken(): Promise<string> {
    const post = { type: 'application/json', body: JSON.stringify({ role: 'agent' }) };
    return (await this.ask<{ token: string }>('/tokens', post)).token;
  }
}

it('runs arrive once and in their final state', async () => {
  const dir = tempDir('batch-control');
  const control = await Control.make(dir);
  const agents = new Agents(dir);
  onTestFinished(async () => {
    await agents.stop();
    await control.stop();
  });
  onTestFailed(() => {
    process.stderr.write(`${control.log().slice(-4000)}\n${agents.logs().slice(-4000)}`);
  });
  await control.start();
  await agents.start(control, 'press-1', [], ['/bin/echo']);
  const begin = Date.now() + 2 * EVERY_MS;
  const times = Array.from({ length: RUNS }, (_, n) =>
    new Date(begin + n * EVERY_MS).toISOString(),
  );
  await control.ask('/jobs', { type: 'application/yaml', body: job(times) });
  const runs = async () =>
    (await control.ask<Page<Record<string, unknown>>>('/runs?job=often&limit=100')).items;
  await waitFor('the first run', async () => (await runs()).length > 0, 30_000);
  for (const strike of ['nats', 'control', 'nats', 'control']) {
    if (strike === 'nats') {
      await waitFor('a nats-server to kill', () => {
        control.killNats();
        return true;
      });
    } else {
      await control.kill();
      await control.start();
    }
    await pause(KILL_EVERY_MS);
  }
  await waitFor(
    'every run to be over',
    async () => {
      const all = await runs();
      return all.length >= RUNS && all.every(({ state }) => state === 'success');
    },
    60_000,
  );
  const all = await runs();
  expect(all.map(({ at }) => Number(at)).toSorted((a, b) => a - b)).toEqual(
    times.map((time) => Date.parse(time)),
  );
  expect(new Set(all.map(({ run }) => run)).size).toBe(RUNS);
  for (const { run } of all) {
    const { instances } = await control.ask<{
      instances: readonly { task: string; index: number | null; state: string }[];
    }>(`/runs/${String(run)}`);
    expect(instances.every(({ state }) => state === 'success')).toBe(true);
    expect(new Set(instances.map(({ task }) => task))).toEqual(new Set(TASKS));
    // Three of them besides the task that is mapped.
    expect(instances.filter(({ index }) => index !== null)).toHaveLength(3);
  }
  const rows = await waitFor('the rows', async () => {
    const page = await control.ask<Page<{ windowStart: number; value: unknown; revision: number }>>(
      '/datasets/counted/results?limit=1000',
    );
    return page.items.length >= RUNS && page.items;
  });
  expect(rows).toHaveLength(RUNS);
  expect(new Set(rows.map(({ windowStart }) => windowStart)).size).toBe(RUNS);
  expect(rows.every(({ revision }) => revision === 1)).toBe(true);
}, 120_000);
