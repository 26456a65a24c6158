/**
 * A whole site as processes: mosquitto (or the agent's embedded broker), control plane with its
 * nats-server, one enrolled agent. Each can be killed at any instant and is started again.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.ts';
import { type Started, bins, runBin, start } from '../../support/processes.ts';
import { requireProgram } from '../../support/find-program.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Api, get } from './audit.ts';
import { CutProxy, isMark } from './cut-proxy.ts';

export interface SiteOptions {
  readonly dir: string;
  /** Mosquitto as the broker, or the agent's own. */
  readonly broker: 'mosquitto' | 'embedded';
  /** Other entries than the committed launchers: planted bugs, put in by composition. */
  readonly agentScript?: string;
  /** A whole command that runs the agent, `run` and its options are added: strace before node. */
  readonly agentCommand?: readonly string[];
  readonly controlScript?: string;
  readonly agentEnv?: Readonly<Record<string, string>>;
}

export class Site {
  readonly dir: string;
  readonly brokerPort: number;
  /** Between the agent and nats-server. */
  readonly natsCut: CutProxy;
  api: Api = { url: '', token: '' };
  kills = { agent: 0, nats: 0, control: 0, mosquitto: 0 };
  /** How often each has been started: counters begin at zero in each life. */
  lives = { agent: 0, control: 0 };
  readonly #options: SiteOptions;
  readonly #httpPort: number;
  readonly #metricsPort: number;
  readonly #natsPort: number;
  #natsCutPort = 0;
  #control: Started | undefined;
  #agent: Started | undefined;
  #mosquitto: Started | undefined;

  private constructor(
    options: SiteOptions,
    brokerPort: number,
    httpPort: number,
    metricsPort: number,
    natsPort: number,
  ) {
    this.natsCut = new CutProxy(natsPort, 'server', isMark);
    this.#natsPort = natsPort;
    this.#metricsPort = metricsPort;
    this.#options = options;
    this.dir = options.dir;
    this.brokerPort = brokerPort;
    this.#httpPort = httpPort;
  }

  static async start(options: SiteOptions): Promise<Site> {
    const site = await Site.#make(options);
    site.#natsCutPort = await site.natsCut.listen();
    if (options.broker === 'mosquitto') site.startMosquitto();
    await site.startControl();
    site.#enroll();
    site.startAgent();
    return site;
  }

  static async #make(options: SiteOptions): Promise<Site> {
    const [broker, http, metrics, nats] = [freePort(), freePort(), freePort(), freePort()];
    return new Site(options, await broker, await http, await metrics, await nats);
  }

  get agentDir(): string {
    return join(this.dir, 'agent');
  }

  get controlDir(): string {
    return join(this.dir, 'control-plane');
  }

  startMosquitto(): void {
    const file = join(this.dir, 'mosquitto.conf');
    const persistence = join(this.dir, 'mosquitto');
    mkdirSync(persistence, { recursive: true });
    writeFileSync(
      file,
      [
        `listener ${this.brokerPort} 127.0.0.1`,
        'allow_anonymous true',
        'persistence false',
        // The agent may be down for long here; what mosquitto drops is not ours to count.
        'max_queued_messages 0',
        'user root',
        'log_type subscribe',
        'log_type notice',
      ].join('\n'),
    );
    const log = join(this.dir, `mosquitto-${this.kills.mosquitto}.log`);
    this.#mosquitto = start(requireProgram('mosquitto'), ['-c', file], log);
  }

  async startControl(): Promise<void> {
    this.lives.control += 1;
    const args = ['serve', '--data', this.controlDir, '--http', `127.0.0.1:${this.#httpPort}`];
    const listen = ['--nats-listen', `127.0.0.1:${this.#natsPort}`];
    const advertise = ['--nats-advertise', `nats://127.0.0.1:${this.#natsCutPort}`];
    this.#control = start(
      this.#options.controlScript ?? bins.control,
      [...args, ...listen, ...advertise],
      join(this.dir, 'control.log'),
    );
    const url = `http://127.0.0.1:${this.#httpPort}`;
    await waitFor(
      'the control plane',
      async () => (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1000) })).ok,
      60_000,
    );
    const token = readFileSync(join(this.controlDir, 'admin-token'), 'utf8').trim();
    this.api = { url, token };
  }

  startAgent(): void {
    this.lives.agent += 1;
    const [program, ...before] = this.#options.agentCommand ?? [
      this.#options.agentScript ?? bins.agent,
    ];
    this.#agent = start(
      program as string,
      [...before, 'run', '--data', this.agentDir, '--metrics', `127.0.0.1:${this.#metricsPort}`],
      join(this.dir, 'agent.log'),
      this.#options.agentEnv,
    );
  }

  async killAgent(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.kills.agent += 1;
    await this.#agent?.end(signal);
  }

  async killControl(): Promise<void> {
    this.kills.control += 1;
    await this.#control?.end('SIGKILL');
  }

  /** SIGKILL, and a new one without any session; resolves when the agent has subscribed again. */
  async restartMosquitto(topic: string): Promise<void> {
    this.kills.mosquitto += 1;
    await this.#mosquitto?.end('SIGKILL');
    this.startMosquitto();
    const log = join(this.dir, `mosquitto-${this.kills.mosquitto}.log`);
    await waitFor('the new subscription', () => readFileSync(log, 'utf8').includes(topic), 60_000);
  }

  /** The control plane's own nats-server, by the pid that it wrote. */
  killNats(): boolean {
    process.kill(this.natsPid(), 'SIGKILL');
    this.kills.nats += 1;
    return true;
  }

  natsPid(): number {
    const text = readFileSync(join(this.controlDir, 'nats', 'server.json'), 'utf8');
    const pid = (JSON.parse(text) as { pid: number }).pid;
    if (!Number.isInteger(pid)) throw new Error(`no pid in ${text}`);
    return pid;
  }

  /** A counter of the agent or the control plane, all its labels added up. */
  async counter(of: 'agent' | 'control', name: string): Promise<number> {
    const agent = `http://127.0.0.1:${this.#metricsPort}/metrics`;
    const response = await fetch(of === 'agent' ? agent : `${this.api.url}/metrics`, {
      headers: { authorization: `Bearer ${this.api.token}` },
      signal: AbortSignal.timeout(1000),
    });
    const lines = (await response.text()).split('\n');
    return lines
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  get agentPid(): number {
    const pid = this.#agent?.child.pid;
    if (pid === undefined) throw new Error('the agent does not run');
    return pid;
  }

  get agentRunning(): boolean {
    return this.#agent?.running() ?? false;
  }

  async apply(job: string): Promise<void> {
    const response = await fetch(`${this.api.url}/api/v1/jobs`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.api.token}`,
        'content-type': 'application/yaml',
      },
      body: job,
    });
    if (!response.ok) throw new Error(await response.text());
  }

  /** Waits until the one agent reports that the job runs. */
  async running(job: string): Promise<void> {
    await waitFor(
      `${job} to run`,
      async () => {
        const page = await get<{ items: { jobs: { name: string; phase: string }[] }[] }>(
          this.api,
          '/agents',
        );
        const jobs = page.items.flatMap((agent) => agent.jobs);
        return jobs.find((found) => found.name === job)?.phase === 'running';
      },
      30_000,
    );
  }

  /** Waits until the agent is subscribed: what a broker gets before is for nobody. */
  async connected(): Promise<void> {
    await waitFor(
      'the source to be connected',
      async () => (await this.counter('agent', 'runnel_source_connected')) >= 1,
      30_000,
    );
  }

  async stop(): Promise<void> {
    for (const process of [this.#agent, this.#control, this.#mosquitto]) {
      await process?.end('SIGTERM');
    }
    await this.natsCut.close();
  }

  /** What every process of the site wrote, for a failure's message. */
  logs(): string {
    return ['control.log', 'agent.log']
      .map((name) => join(this.dir, name))
      .filter((file) => existsSync(file))
      .map((file) => `--- ${file}\n${readFileSync(file, 'utf8').slice(-4000)}`)
      .join('\n');
  }

  #enroll(): void {
    const env = { RUNNEL_URL: this.api.url, RUNNEL_TOKEN: this.api.token };
    const token = runBin('runnel', ['token', 'create', '--role', 'agent', '--quiet'], env).trim();
    runBin('agent', [
      ...['enroll', '--url', this.api.url, '--token', token],
      ...['--data', this.agentDir, '--name', 'site-1'],
    ]);
    if (this.#options.broker === 'embedded') this.#setBrokerPort();
  }

  #setBrokerPort(): void {
    const file = join(this.agentDir, 'agent.yaml');
    const text = readFileSync(file, 'utf8');
    const changed = text.replace(/127\.0\.0\.1:1883/, `127.0.0.1:${this.brokerPort}`);
    if (changed === text) throw new Error(`no broker address in ${file}:\n${text}`);
    writeFileSync(file, changed);
  }
}
