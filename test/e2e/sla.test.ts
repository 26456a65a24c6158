/**
 * A promise through everything that can end: the sensor, the control plane, the agent. The built
 * programs, and no network in between for a while.
 *
 *   sensor         ─lines──┐ stops            ┌─lines─┐ stops
 *   agent          ──met───┴──breached────────┴──met──┴─kill─┌─breached─────▶
 *   control plane  ──met──────breached──kill─────────────────┴─up─▶ the history has it all
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { bins, runBin, start, type Started } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { CutProxy, isMark } from './crash/cut-proxy.ts';

const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: lines }
sla: [{ name: fresh, freshness: 6s }]
sources:
  lines: { file: { path: files/in.jsonl, every: 50ms } }
steps: [{ id: pass, filter: "payload.n >= 0" }]
sinks: [{ from: pass, results: { dataset: lines } }]
`;
const WAIT_MS = 60_000;

interface Said {
  readonly verdict: string;
  readonly since: number;
}

interface Interval {
  readonly verdict: string;
  readonly from: number;
  readonly to: number | null;
}

class Site {
  readonly #dir = tempDir('sla');
  readonly #agentDir = join(this.#dir, 'agent');
  readonly #controlDir = join(this.#dir, 'control');
  readonly #http: number;
  readonly #nats: number;
  control: Started | undefined;
  agent: Started | undefined;
  #sensor: Started | undefined;

  /** Between the agent and NATS. */
  readonly cable: CutProxy;
  #cablePort = 0;

  static async start(): Promise<Site> {
    const site = new Site(await freePort(), await freePort());
    site.#cablePort = await site.cable.listen();
    await site.startControl();
    site.enrol();
    site.startAgent();
    site.apply();
    return site;
  }

  private constructor(http: number, nats: number) {
    this.#http = http;
    this.#nats = nats;
    this.cable = new CutProxy(nats, 'server', isMark);
    onTestFinished(async () => {
      await this.#sensor?.end('SIGKILL');
      await this.agent?.end('SIGKILL');
      await this.control?.end('SIGTERM');
      await this.cable.close();
    });
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#http}`;
  }

  async startControl(): Promise<void> {
    const listen = [
      '--http',
      `127.0.0.1:${this.#http}`,
      '--nats-listen',
      `127.0.0.1:${this.#nats}`,
      '--nats-advertise',
      `nats://127.0.0.1:${this.#cablePort}`,
      '--heartbeat-interval',
      '2s',
    ];
    const args = ['serve', '--data', this.#controlDir, ...listen];
    this.control = start(bins.control, args, join(this.#dir, 'control.log'));
    await waitFor('the control plane', async () => (await fetch(`${this.#url}/readyz`)).ok, 60_000);
  }

  startAgent(): void {
    const args = ['run', '--data', this.#agentDir];
    this.agent = start(bins.agent, args, join(this.#dir, 'agent.log'));
  }

  enrol(): void {
    const token = this.runnel('token', 'create', '--role', 'agent', '--quiet').trim();
    const place = ['--url', this.#url, '--token', token, '--data', this.#agentDir];
    runBin('agent', ['enroll', ...place, '--name', 'press-1']);
    mkdirSync(join(this.#agentDir, 'files'));
  }

  apply(): void {
    writeFileSync(join(this.#dir, 'job.yaml'), JOB);
    this.runnel('apply', '-f', join(this.#dir, 'job.yaml'));
  }

  runnel(...args: string[]): string {
    const token = readFileSync(join(this.#controlDir, 'admin-token'), 'utf8').trim();
    return runBin('runnel', args, { RUNNEL_URL: this.#url, RUNNEL_TOKEN: token });
  }

  /** Ten lines a second, until it is ended. */
  startSensor(): Started {
    const file = join(this.#agentDir, 'files/in.jsonl');
    const script = `while echo '{"n":1}' >> '${file}'; do sleep 0.1; done`;
    this.#sensor = start('/bin/sh', ['-c', script], join(this.#dir, 'sensor.log'));
    return this.#sensor;
  }

  deviceSays(): Said | undefined {
    // Over the device's own socket: nobody else is needed for it.
    const text = runBin('agent', ['status', '--data', this.#agentDir, '-o', 'json']);
    return (JSON.parse(text) as { slas?: Said[] }).slas?.[0];
  }

  async device(verdict: string): Promise<void> {
    const says = (): boolean => this.deviceSays()?.verdict === verdict;
    await waitFor(`the device to say ${verdict}`, says, WAIT_MS);
  }

  heldHere(): string | undefined {
    return (JSON.parse(this.runnel('sla', 'lines', '-o', 'json')) as Said[])[0]?.verdict;
  }

  intervals(): Interval[] {
    const text = this.runnel('sla', 'history', 'lines', 'fresh', '-o', 'json');
    return (JSON.parse(text) as { items: Interval[] }).items;
  }

  /** Verdicts since then, without `atRisk`, whoever judged. */
  history(since: number): string[] {
    const after = this.intervals().filter(({ to }) => to === null || to > since);
    const all = after.map(({ verdict }) => verdict);
    const verdicts = all.filter((each) => each !== 'atRisk');
    return verdicts.filter((each, at) => each !== verdicts[at - 1]);
  }
}

it('is breached, kept and breached again with nobody to hear it, and all is told', async () => {
  const site = await Site.start();
  await site.device('breached');
  // Where the job was placed silence counts a little longer than where it runs.
  const { since } = site.deviceSays()!;
  await waitFor('the control plane to see it', () => site.heldHere() === 'breached', WAIT_MS);

  await site.control!.end('SIGKILL');
  const sensor = site.startSensor();
  await site.device('met');
  await sensor.end('SIGKILL');
  await site.device('breached');
  const before = site.deviceSays();
  await site.agent!.end('SIGKILL');
  site.startAgent();
  await waitFor('the agent', () => site.agent!.output().includes('applied'), WAIT_MS);
  await site.device('breached');
  // It is the same breach: what was, and since when, is not lost with the process.
  expect(site.deviceSays()).toMatchObject({ since: before!.since });

  await site.startControl();
  const isTold = (): boolean => site.history(since).length >= 3;
  await waitFor('the history of the time in which nobody heard', isTold, WAIT_MS);
  expect(site.history(since)).toEqual(['breached', 'met', 'breached']);
}, 200_000);

it('is not known while the device cannot be heard, and not taken for broken', async () => {
  const site = await Site.start();
  const sensor = site.startSensor();
  await site.device('met');
  const isHeld = (verdict: string) => (): boolean => site.heldHere() === verdict;
  await waitFor('the control plane to see it', isHeld('met'), WAIT_MS);

  const pulledAt = Date.now();
  site.cable.pull();
  await waitFor('the silence to be seen', isHeld('unreachable'), WAIT_MS);
  expect(site.deviceSays()?.verdict).toBe('met');
  await sensor.end('SIGKILL');
  await site.device('breached');
  const { since } = site.deviceSays()!;
  expect(site.heldHere()).toBe('unreachable');

  site.cable.plug();
  await waitFor('what the device says', isHeld('breached'), WAIT_MS);
  // What it said all the while takes the place of what nobody knew.
  const isUnknown = (): boolean =>
    site.intervals().some(({ verdict, from }) => verdict === 'unreachable' && from > pulledAt);
  await waitFor('its own verdicts', () => !isUnknown(), WAIT_MS);
  const broken = site.intervals().filter(({ verdict }) => verdict === 'breached');
  expect(broken.map(({ from }) => from).filter((from) => from > pulledAt)).toEqual([since]);
}, 200_000);
