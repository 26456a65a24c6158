/**
 * The built control plane as a process of its own, with its own data directory and nats-server,
 * and its API as an admin uses it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { bins } from '../../support/processes.ts';

const READY_MS_MAX = 60_000;
const END_MS_MAX = 30_000;
const ANSWER_MS_MAX = 60_000;
const LOG_CHARS = 2000;

export interface ControlOptions {
  readonly dataDir: string;
  /** A CPU profile is written there at the end. */
  readonly profileDir: string | undefined;
  readonly signal: AbortSignal;
}

export class ControlProcess {
  readonly url: string;
  readonly token: string;
  readonly #child: ChildProcess;
  readonly #dataDir: string;
  readonly #signal: AbortSignal;

  /** Error `control_plane`: it did not start; the end of its log is in the message. */
  static async start(options: ControlOptions): Promise<ControlProcess> {
    const { dataDir, profileDir, signal } = options;
    const log = openSync(join(dataDir, 'control.log'), 'a');
    const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
    const serve = ['serve', '--data', dataDir, '--log-level', 'warn'];
    const listen = ['--http', '127.0.0.1:0', '--nats-listen', '127.0.0.1:0'];
    // A process group of its own: Ctrl-C comes here, and this process ends it in order.
    const child = spawn(process.execPath, [...profile, bins.control, ...serve, ...listen], {
      stdio: ['ignore', 'pipe', log],
      detached: true,
    });
    closeSync(log);
    try {
      const url = await readyUrl(child, dataDir, signal);
      const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
      return new ControlProcess(child, url, token, options);
    } catch (error) {
      await endProcess(child);
      throw error;
    }
  }

  private constructor(child: ChildProcess, url: string, token: string, options: ControlOptions) {
    this.#child = child;
    this.url = url;
    this.token = token;
    this.#dataDir = options.dataDir;
    this.#signal = options.signal;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Of its nats-server. */
  natsPid(): number {
    const text = readFileSync(join(this.#dataDir, 'nats/server.json'), 'utf8');
    return (JSON.parse(text) as { readonly pid: number }).pid;
  }

  /** Error `api`: what the control plane answered. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const signals = [this.#signal, AbortSignal.timeout(ANSWER_MS_MAX)];
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      signal: AbortSignal.any(signals),
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as T;
    throw new RunnelError('api', `${method} ${path} answered ${response.status}: ${text}`);
  }

  async end(): Promise<void> {
    await endProcess(this.#child);
  }
}

async function readyUrl(
  child: ChildProcess,
  dataDir: string,
  signal: AbortSignal,
): Promise<string> {
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const deadline = systemClock.monotonicMs() + READY_MS_MAX;
  for (;;) {
    const url = /^ready (\S+)$/m.exec(output)?.[1];
    if (url !== undefined) return url;
    if (child.exitCode !== null || systemClock.monotonicMs() > deadline) {
      const log = readFileSync(join(dataDir, 'control.log'), 'utf8').slice(-LOG_CHARS);
      throw new RunnelError('control_plane', `the control plane did not start: ${log}`);
    }
    await systemClock.sleep(20, signal);
  }
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const cancel = systemClock.after(END_MS_MAX, () => child.kill('SIGKILL'));
  await gone;
  cancel();
}
