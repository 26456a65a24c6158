/**
 * A real mosquitto for one test: on a free port, in a directory of its own, ended with the test.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { requireProgram } from './programs.ts';
import { tempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

export interface MosquittoOptions {
  /** Keeps sessions and retained messages over `stop` (not over `kill`: it saves at exit). */
  readonly persistence?: boolean;
  readonly tls?: TlsFiles;
  /** Demands this login. */
  readonly login?: { readonly username: string; readonly password: string };
  /** Further lines of the configuration: `max_inflight_messages 20`. */
  readonly lines?: readonly string[];
  readonly port?: number;
}

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export class Mosquitto {
  readonly port: number;
  readonly url: string;
  readonly #config: string;
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(port: number, tls: boolean, config: string) {
    this.port = port;
    this.url = `${tls ? 'mqtts://localhost' : 'mqtt://127.0.0.1'}:${port}`;
    this.#config = config;
  }

  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const dir = tempDir('mosquitto');
    const port = options.port ?? (await freePort());
    const config = join(dir, 'mosquitto.conf');
    writeFileSync(config, configuration(dir, port, options));
    const broker = new Mosquitto(port, options.tls !== undefined, config);
    onTestFinished(() => broker.kill());
    await broker.up();
    return broker;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What it logged so far. */
  get output(): string {
    return this.#output;
  }

  /** Starts it, again after `stop` or `kill`; resolves when it accepts connections. */
  async up(): Promise<void> {
    const child = spawn(requireProgram('mosquitto'), ['-c', this.#config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const take = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-200_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    await waitFor(`mosquitto on port ${this.port}`, () => {
      if (child.exitCode !== null) throw new Error(`mosquitto ended: ${this.#output}`);
      return accepts(this.port);
    });
  }

  /** SIGTERM: saves its state first when it has persistence. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

/** Whether something listens on this port of the machine. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function configuration(dir: string, port: number, options: MosquittoOptions): string {
  const lines = [`listener ${port} 127.0.0.1`, ...(options.lines ?? [])];
  if (options.persistence === true) {
    const data = join(dir, 'data');
    mkdirSync(data);
    // As root mosquitto drops to its own user, who must be able to write here.
    chmodSync(dir, 0o777);
    chmodSync(data, 0o777);
    lines.push('persistence true', `persistence_location ${data}/`);
  }
  if (process.getuid?.() === 0) lines.push('user root');
  if (options.tls !== undefined) {
    const { ca, cert, key } = options.tls;
    lines.push(`cafile ${ca}`, `certfile ${cert}`, `keyfile ${key}`);
  }
  if (options.login === undefined) lines.push('allow_anonymous true');
  else {
    const file = join(dir, 'passwords');
    const { username, password } = options.login;
    const program = requireProgram('mosquitto_passwd');
    execFileSync(program, ['-b', '-c', file, username, password], { stdio: 'ignore' });
    lines.push('allow_anonymous false', `password_file ${file}`);
  }
  return `${lines.join('\n')}\n`;
}

/** A certificate authority of its own, and a server certificate for localhost signed by it. */
export function makeTlsFiles(): TlsFiles {
  const dir = tempDir('tls');
  const openssl = (...args: string[]): void => {
    execFileSync(requireProgram('openssl'), args, { cwd: dir, stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test CA');
  openssl('req', ...key, '-keyout', 'key.pem', '-out', 'csr.pem', '-subj', '/CN=localhost');
  writeFileSync(join(dir, 'ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext'];
  openssl('x509', '-req', '-in', 'csr.pem', ...sign, '-out', 'cert.pem', '-days', '2');
  return { ca: join(dir, 'ca.pem'), cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
}
