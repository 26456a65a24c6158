/**
 * A real PostgreSQL cluster for one test or one file: in a directory of its own, on a free port of
 * 127.0.0.1, ended with it. As root it runs as the user `postgres`, because it refuses root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { freePort } from './free-port.ts';
import { requireProgram } from './programs.ts';
import { waitFor } from './wait-for.ts';

export const POSTGRES_PROGRAMS = ['initdb', 'postgres'] as const;

export interface PostgresOptions {
  /** Certificate and key for `localhost`. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Asked for over TCP; without it everybody is trusted. */
  readonly password?: string;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export class Postgres {
  readonly port: number;
  readonly #dir: string;
  readonly #data: string;
  readonly #owner: Owner | undefined;
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(port: number, dir: string, owner: Owner | undefined) {
    this.port = port;
    this.#dir = dir;
    this.#data = join(dir, 'data');
    this.#owner = owner;
  }

  /** `stop` it when the test or file is over. */
  static async start(options: PostgresOptions = {}): Promise<Postgres> {
    const dir = mkdtempSync(join(tmpdir(), 'runnel-postgres-'));
    const owner = process.getuid?.() === 0 ? postgresUser() : undefined;
    if (owner !== undefined) chownSync(dir, owner.uid, owner.gid);
    const server = new Postgres(await freePort(), dir, owner);
    server.#initialise(options);
    await server.up();
    return server;
  }

  /** Of the superuser `postgres`, or another role; no password in it. */
  url(database = 'postgres', user = 'postgres', host = '127.0.0.1'): string {
    return `postgres://${user}@${host}:${this.port}/${database}`;
  }

  async up(): Promise<void> {
    const settings = ['fsync=off', 'synchronous_commit=off', 'listen_addresses=127.0.0.1'];
    const flags = settings.flatMap((setting) => ['-c', setting]);
    const args = ['-D', this.#data, '-p', String(this.port), '-k', this.#dir, ...flags];
    const child = spawn(requireProgram('postgres'), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: ENVIRONMENT,
      ...this.#owner,
    });
    this.#child = child;
    const take = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-100_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    await waitFor('PostgreSQL', () => this.#answers(), 30_000);
  }

  /** Runs statements as the superuser, through the socket's directory, and gives the last rows. */
  async query<Row extends QueryResultRow = Record<string, unknown>>(
    sql: string,
    values: readonly unknown[] = [],
    database = 'postgres',
  ): Promise<Row[]> {
    const client = this.#client(database);
    await client.connect();
    try {
      return (await client.query<Row>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** A fast shutdown, which cuts connections; SIGQUIT is a crash. */
  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #client(database: string): Client {
    const { port } = this;
    const client = new Client({ host: this.#dir, port, user: 'postgres', database });
    // A server that is ended cuts its clients; who waits for an answer is told by its promise.
    client.on('error', () => undefined);
    return client;
  }

  async #answers(): Promise<boolean> {
    const child = this.#child;
    if (child === null || child.exitCode !== null) {
      throw new Error(`PostgreSQL ended: ${this.#output}`);
    }
    await this.query('SELECT 1');
    return true;
  }

  #initialise({ tls, password }: PostgresOptions): void {
    const host = password === undefined ? 'trust' : 'scram-sha-256';
    const auth = ['--auth-local=trust', `--auth-host=${host}`];
    const args = ['-D', this.#data, '-U', 'postgres', '-E', 'UTF8', '--no-sync', ...auth];
    const options = { stdio: 'pipe', env: ENVIRONMENT, ...this.#owner } as const;
    execFileSync(requireProgram('initdb'), args, options);
    const setUp = (...sql: string[]): void => {
      const input = `${sql.join('\n')}\n`;
      const single = ['--single', '-D', this.#data, 'postgres'];
      execFileSync(requireProgram('postgres'), single, { ...options, input });
    };
    if (password !== undefined) setUp(`ALTER USER postgres PASSWORD '${password}';`);
    if (tls === undefined) return;
    for (const [from, name] of [
      [tls.cert, 'server.crt'],
      [tls.key, 'server.key'],
    ] as const) {
      const path = join(this.#data, name);
      copyFileSync(from, path);
      if (this.#owner !== undefined) chownSync(path, this.#owner.uid, this.#owner.gid);
      chmodSync(path, 0o600);
    }
    setUp("ALTER SYSTEM SET ssl = 'on';");
  }
}

/** No locale, and nothing of ours. */
const ENVIRONMENT = { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' };

function postgresUser(): Owner {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim());
  return { uid: id('-u'), gid: id('-g') };
}
