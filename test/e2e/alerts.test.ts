/**
 * Alerts with the built programs: a device that is killed and comes back, records that it drops,
 * and a control plane that is killed before it tells anybody and while it does.
 */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { AlertItem, NotificationItem } from '@runnel/control-plane/http/alert-messages.ts';
import { freePort } from '../support/free-port.ts';
import { httpServer, type HttpServer } from '../support/http-server.ts';
import { enrolRequestOf, newDeviceKey } from '../support/nats.ts';
import { bins, runBin, start, type Started } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const WAIT_MS = 90_000;
const CLOSE = { headers: { connection: 'close' } };
const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: lines }
sources:
  lines: { file: { path: files/in.jsonl, every: 50ms }, time: payload.ts }
steps:
  - id: sum
    window: { tumbling: 10s }
    aggregate: { n: "count()" }
sinks:
  - { from: sum, results: { dataset: lines } }
`;

class Site {
  readonly #dir = tempDir('alerts');
  readonly #http: number;
  readonly #nats: number;
  control: Started | undefined;
  agent: Started | undefined;

  static async start(): Promise<Site> {
    const site = new Site(await freePort(), await freePort());
    await site.startControl();
    return site;
  }

  private constructor(http: number, nats: number) {
    this.#http = http;
    this.#nats = nats;
    onTestFinished(async () => {
      await this.agent?.end('SIGKILL');
      await this.control?.end('SIGTERM');
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#http}`;
  }

  get #token(): string {
    return readFileSync(join(this.#dir, 'control/admin-token'), 'utf8').trim();
  }

  async startControl(): Promise<void> {
    const args = [
      ...['serve', '--data', join(this.#dir, 'control'), '--http', `127.0.0.1:${this.#http}`],
      ...['--nats-listen', `127.0.0.1:${this.#nats}`],
      // Offline is who missed five: soon, and not because the machine is busy.
      ...['--heartbeat-interval', '4s', '--offline-alert-after', '1s'],
    ];
    this.control = start(bins.control, args, join(this.#dir, 'control.log'));
    await waitFor('the server', async () => (await fetch(`${this.url}/readyz`, CLOSE)).ok, WAIT_MS);
  }

  startAgent(): void {
    const args = ['run', '--data', join(this.#dir, 'agent')];
    this.agent = start(bins.agent, args, join(this.#dir, 'agent.log'));
  }

  enrolAgent(name: string): void {
    const token = this.runnel('token', 'create', '--role', 'agent', '--quiet').trim();
    const data = join(this.#dir, 'agent');
    runBin('agent', [
      'enroll',
      '--url',
      this.url,
      '--token',
      token,
      '--data',
      data,
      '--name',
      name,
    ]);
    mkdirSync(join(data, 'files'));
  }

  /** A device of this name; a second one with a key of its own waits for approval. */
  async enrol(name: string): Promise<void> {
    const token = this.runnel('token', 'create', '--role', 'agent', '--quiet').trim();
    const answer = await this.#fetch('/enroll', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(enrolRequestOf(newDeviceKey(), token, { name })),
    });
    expect(answer.ok, await answer.text()).toBe(true);
  }

  write(lines: readonly object[]): void {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    appendFileSync(join(this.#dir, 'agent/files/in.jsonl'), text);
  }

  apply(): void {
    writeFileSync(join(this.#dir, 'job.yaml'), JOB);
    this.runnel('apply', '-f', join(this.#dir, 'job.yaml'));
  }

  runnel(...args: string[]): string {
    return runBin('runnel', args, { RUNNEL_URL: this.url, RUNNEL_TOKEN: this.#token });
  }

  hook({ url }: HttpServer, groupWait: string): void {
    const settings = [`url=${url}`, `groupWait=${groupWait}`, 'groupInterval=0s'];
    const given = settings.flatMap((setting) => ['--setting', setting]);
    this.runnel('receivers', 'set', 'hook', '--kind', 'webhook', '--severity', 'info', ...given);
  }

  /** Over HTTP, so that this process goes on answering as the webhook meanwhile. */
  async #items<T>(path: string): Promise<readonly T[]> {
    const answer = await this.#fetch(path, { headers: { authorization: `Bearer ${this.#token}` } });
    return ((await answer.json()) as { items: T[] }).items;
  }

  /** No connection is kept: the server that it led to may be killed. */
  async #fetch(path: string, init: RequestInit) {
    const headers = new Headers(init.headers);
    headers.set('connection', 'close');
    return await fetch(`${this.url}/api/v1${path}`, { ...init, headers });
  }

  /** `says`: its text follows what it tells of once a minute. */
  alert(title: string, state: AlertItem['state'], says = ''): Promise<AlertItem> {
    return waitFor(
      `the alert "${title}" to be ${state}`,
      async () => {
        const items = await this.#items<AlertItem>('/alerts');
        return items.find(
          (each) => each.title === title && each.state === state && each.message.includes(says),
        );
      },
      WAIT_MS,
    );
  }

  log(count: number): Promise<readonly NotificationItem[]> {
    return waitFor(
      'the log',
      async () => {
        const items = await this.#items<NotificationItem>('/notifications');
        return items.filter(({ outcome }) => outcome === 'sent').length === count && items;
      },
      WAIT_MS,
    );
  }
}

interface Told {
  readonly id: string;
  readonly status: string;
  readonly alerts: readonly AlertItem[];
}

const told = (hook: HttpServer): Told[] => hook.asked.map(({ body }) => JSON.parse(body) as Told);

it('a killed device and what it dropped are told, and that they are over', async () => {
  const site = await Site.start();
  const hook = await httpServer(() => ({}));
  site.hook(hook, '0s');
  site.enrolAgent('press-1');
  site.startAgent();
  site.apply();
  await waitFor('the agent', () => site.agent?.output().includes('applied'), WAIT_MS);
  const now = Date.UTC(2026, 0, 1);
  // Two come after their window was closed, and nothing takes `late`; one has no time at all.
  site.write([{ ts: now }, { ts: now + 60_000 }, { ts: now }, { ts: now + 1 }, { n: 1 }]);
  const title = 'press-1: dropped/jobs RecordsDropped';
  const dropped = await site.alert(title, 'firing', '3 records');
  expect(dropped).toMatchObject({ source: 'condition', severity: 'warning' });
  expect(dropped.message).toMatch(/^3 records were lost or set aside: lines: late \(2\), /);
  expect(dropped.message).toMatch(/lines: dead letters, lines: missing_key \(1\)$/);
  expect(site.runnel('describe', 'agent', 'press-1')).toMatch(/jobs +warning +.*late \(2\)/);

  await site.agent?.end('SIGKILL');
  const offline = await site.alert('press-1 is offline', 'firing');
  expect(offline).toMatchObject({ source: 'device', severity: 'error', agentName: 'press-1' });
  const described = site.runnel('describe', 'agent', 'press-1');
  expect(described).toMatch(/^ {2}connection +error +\S+ ago +No contact/m);
  expect(described).toMatch(/^ {2}storage +unknown +\S+ ago +Not heard since/m);
  expect(site.runnel('get', 'agents')).toContain('error:connection');

  site.startAgent();
  expect((await site.alert('press-1 is offline', 'resolved')).id).toBe(offline.id);
  // The new process has lost nothing.
  await site.alert(title, 'resolved');
  const of = ({ id }: AlertItem): string[] =>
    told(hook)
      .flatMap(({ alerts }) => alerts)
      .filter((alert) => alert.id === id)
      .map(({ state }) => state);
  for (const alert of [offline, dropped]) {
    await waitFor('both to be told', () => of(alert).includes('resolved'), WAIT_MS);
    // Each beginning and each end once: whoever is told twice in a row is told too much.
    const states = of(alert);
    expect(states.slice(0, 2)).toEqual(['firing', 'resolved']);
    expect(states.filter((state, at) => state === states[at - 1])).toEqual([]);
  }
}, 240_000);

it('killed between an alert and its notification, it is told after the start, once', async () => {
  const site = await Site.start();
  const hook = await httpServer(() => ({}));
  site.hook(hook, '5s');
  await site.enrol('press-1');
  await site.enrol('press-1');
  const alert = await site.alert('press-1 waits for approval', 'firing');
  await site.control?.end('SIGKILL');
  expect(hook.asked).toEqual([]);

  await site.startControl();
  await waitFor('the webhook', () => hook.asked[0], WAIT_MS);
  expect(told(hook)).toMatchObject([{ status: 'firing', alerts: [{ id: alert.id }] }]);
  expect(await site.log(1)).toMatchObject([{ outcome: 'sent', attempts: 1, alerts: [alert.id] }]);
  expect(hook.asked).toHaveLength(1);
}, 240_000);

it('killed between sending and noting it, it sends again under the same id', async () => {
  const site = await Site.start();
  // The first is taken by the receiver, and the control plane never hears so.
  const hook = await httpServer((_asked, count) => (count === 1 ? { hang: true } : {}));
  site.hook(hook, '0s');
  await site.enrol('press-1');
  await site.enrol('press-1');
  await waitFor('the webhook', () => hook.asked[0], WAIT_MS);
  await site.control?.end('SIGKILL');

  await site.startControl();
  await waitFor('the webhook again', () => hook.asked[1], WAIT_MS);
  const [first, second] = told(hook);
  expect(second?.id).toBe(first?.id);
  expect(second?.alerts.map(({ id }) => id)).toEqual(first?.alerts.map(({ id }) => id));
  const ids = hook.asked.map(({ headers }) => headers['x-runnel-notification']);
  expect(ids).toEqual([first?.id, first?.id]);
  expect(await site.log(1)).toMatchObject([{ id: first?.id, outcome: 'sent' }]);
  expect(hook.asked).toHaveLength(2);
}, 240_000);
