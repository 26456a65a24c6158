/**
 * nats-server as a child process.
 *
 * Guarantees: one server per directory (an orphan of a killed parent is ended first, known by its
 * start time and its command line, never by its number alone); it is started again with backoff
 * when it dies; `stop` ends it. The configuration holds no private key and has mode 0600 all the
 * same. The child has a process group of its own, so that Ctrl-C reaches the control plane alone
 * and devices' last messages are still taken while it ends.
 *
 * Files in `dir`: nats.conf, port, server.json (who runs), accounts/ (the resolver's).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { type Random, jittered } from '@runnel/shared/random.ts';
import { type ListenAddress, chooseListen, greets } from './listen-address.ts';
import { type NatsTls, type ServerJwts, natsConfigFor } from './nats-config.ts';
import { passOnLog } from './nats-log.ts';
import { commandLine, endProcess, startMark } from './process-identity.ts';

const READY_MS_MAX = 10_000;
const STOP_GRACE_MS = 5000;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5000;
/** A server that lived this long counts as healthy: the next restart is quick again. */
const HEALTHY_MS = 10_000;
const LAST_LINES = 8;

export interface NatsServerOptions {
  /** A directory for this server alone; made when it is not there. */
  readonly dir: string;
  /** Path of the program (find-nats-server.ts). */
  readonly program: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Asked before every start, so that a restart carries the newest revocations. */
  readonly jwts: () => Promise<ServerJwts>;
  /** Default 127.0.0.1:4222, else a free port that is kept in `dir`; port 0 is a free one too. */
  readonly listen?: ListenAddress;
  readonly tls?: NatsTls;
  /** Ends a start that is under way when it aborts. */
  readonly signal?: AbortSignal;
}

export class NatsServer {
  /** `nats://` or `tls://` address for connections from this machine. */
  readonly url: string;
  readonly address: ListenAddress;
  readonly #options: NatsServerOptions;
  readonly #stopping = new AbortController();
  readonly #lastLines: string[] = [];
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #supervision: Promise<void> = Promise.resolve();
  #restarts = 0;

  /** Resolves when clients can connect. Errors: `nats_port_taken`, `nats_start`. */
  static async start(options: NatsServerOptions): Promise<NatsServer> {
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    await endOrphan(options);
    const chosen = await chooseListen(options.listen, join(options.dir, 'port'));
    if (chosen.moved) {
      options.log.warn(
        { port: chosen.address.port },
        'the NATS port used so far is taken by another program; devices must learn the new one',
      );
    }
    const server = new NatsServer(options, chosen.address);
    const giveUp = (): void => void server.stop();
    options.signal?.addEventListener('abort', giveUp, { once: true });
    try {
      options.signal?.throwIfAborted();
      await server.#launch();
    } catch (error) {
      await server.stop();
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', giveUp);
    }
    server.#supervision = server.#supervise();
    return server;
  }

  private constructor(options: NatsServerOptions, address: ListenAddress) {
    this.#options = options;
    this.address = address;
    const local = ['0.0.0.0', '::'].includes(address.host) ? '127.0.0.1' : address.host;
    const host = local.includes(':') ? `[${local}]` : local;
    this.url = `${options.tls === undefined ? 'nats' : 'tls'}://${host}:${address.port}`;
  }

  /** Undefined between a crash and the restart. */
  get pid(): number | undefined {
    return this.#child?.exitCode === null ? this.#child.pid : undefined;
  }

  /** How often it had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** SIGTERM, then SIGKILL after 5 s. Resolves when the child is gone; harmless twice. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    child?.kill('SIGTERM');
    const cancel = this.#options.clock.after(STOP_GRACE_MS, () => child?.kill('SIGKILL'));
    await this.#exited;
    cancel();
    await this.#supervision;
    await rm(recordPath(this.#options.dir), { force: true });
  }

  async #supervise(): Promise<void> {
    const { clock, random, log } = this.#options;
    const { signal } = this.#stopping;
    let backoffMs = BACKOFF_MIN_MS;
    let startedAt = clock.monotonicMs();
    for (;;) {
      await this.#exited;
      if (signal.aborted) return;
      if (clock.monotonicMs() - startedAt > HEALTHY_MS) backoffMs = BACKOFF_MIN_MS;
      log.error({ backoffMs, restarts: this.#restarts }, 'nats-server died; it is started again');
      await clock.sleep(jittered(random, backoffMs), signal).catch(() => {
        // Stopping ends the pause early; the check below ends the loop.
      });
      if (signal.aborted) return;
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
      this.#restarts += 1;
      startedAt = clock.monotonicMs();
      await this.#launch().catch((error: unknown) => {
        if (!signal.aborted) log.error({ error: messageOf(error) }, 'nats-server did not start');
      });
    }
  }

  async #launch(): Promise<void> {
    const { dir, log, program } = this.#options;
    const config = await this.#writeConfig();
    this.#stopping.signal.throwIfAborted();
    const child = spawn(program, ['-c', config], {
      cwd: dir,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    this.#child = child;
    let failure = '';
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        failure = `ended with ${signal ?? `code ${code}`}`;
        resolve();
      });
      child.once('error', (error) => {
        failure = error.message;
        resolve();
      });
    });
    // At once and synchronously: a parent that is killed now must still find its orphan.
    if (child.pid !== undefined) writeRecord(dir, { pid: child.pid, start: '' });
    passOnLog(child.stderr, log, (line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
    });
    if (child.pid !== undefined) {
      const start = await startMark(child.pid);
      if (start !== undefined) writeRecord(dir, { pid: child.pid, start });
    }
    await this.#ready(() => failure);
    log.info({ url: this.url, pid: child.pid }, 'nats-server is ready');
  }

  async #writeConfig(): Promise<string> {
    const { dir, tls } = this.#options;
    const path = configPath(dir);
    const text = natsConfigFor({
      jwts: await this.#options.jwts(),
      listen: this.address,
      resolverDir: join(dir, 'accounts'),
      ...(tls === undefined ? {} : { tls }),
    });
    await writeFile(path, text, { mode: 0o600 });
    await chmod(path, 0o600);
    return path;
  }

  async #ready(failure: () => string): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.monotonicMs() + READY_MS_MAX;
    while (failure() === '' && clock.monotonicMs() < deadline) {
      if (await greets(this.address, 1000, clock)) return;
      await clock.sleep(20);
    }
    this.#child?.kill('SIGKILL');
    const why = failure() === '' ? `was not ready within ${READY_MS_MAX} ms` : failure();
    throw new RunnelError('nats_start', `nats-server ${why}: ${this.#lastLines.join(' | ')}`, {
      retry: 'backoff',
      hint: `see ${configPath(this.#options.dir)} and the lines above`,
    });
  }
}

const configPath = (dir: string): string => join(dir, 'nats.conf');
const recordPath = (dir: string): string => join(dir, 'server.json');

interface ServerRecord {
  readonly pid: number;
  /** `startMark`; empty in the instant before it is known. */
  readonly start: string;
}

function writeRecord(dir: string, record: ServerRecord): void {
  writeFileSync(recordPath(dir), JSON.stringify(record), { mode: 0o600 });
}

async function readRecord(dir: string): Promise<ServerRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(recordPath(dir), 'utf8'));
    const { pid, start } = value as Partial<ServerRecord>;
    return typeof pid === 'number' && typeof start === 'string' ? { pid, start } : undefined;
  } catch (error) {
    // A record torn by a crash names nobody, and there is nothing safe to end.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
}

async function endOrphan({ dir, clock, log }: NatsServerOptions): Promise<void> {
  const record = await readRecord(dir);
  if (record === undefined) return;
  const start = await startMark(record.pid);
  const command = (await commandLine(record.pid)) ?? '';
  const same = record.start === '' || record.start === start;
  if (start !== undefined && same && command.includes(configPath(dir))) {
    log.warn({ pid: record.pid }, 'ending the nats-server of a control plane that was killed');
    await endProcess(record.pid, start, STOP_GRACE_MS, clock);
  }
  await rm(recordPath(dir), { force: true });
}
