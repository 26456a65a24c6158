/**
 * A connection to PostgreSQL for one attempt.
 *
 * Guarantees: the host was allowed by policy; the password is read by reference; the session is in
 * UTC with ISO dates, so that texts of times mean the same everywhere; it ends with the attempt's
 * signal, and the server gives up a query whose client is gone (PostgreSQL 14 and later) or that
 * takes longer than the task may.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Client, ClientConfig } from 'pg';
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import type { ErrorClass } from '@runnel/shared/definitions/batch-job.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import { postgresTypes } from './postgres-values.ts';

export type PostgresSettings = Pick<
  NonNullable<ExtractTaskConfig['postgres']>,
  'url' | 'password' | 'tls' | 'ca' | 'connectTimeout'
>;

const THIS_DEVICE = /^(localhost|127(\.\d+){3}|::1|\[::1\])$/;

/** Open it, `close` it in a `finally`, and give what fails in between to `failure`. */
export class PostgresSession {
  readonly client: Client;
  readonly #context: TaskContext;
  readonly #url: URL;
  readonly #cut: () => void;
  #lost: unknown;

  private constructor(client: Client, url: URL, context: TaskContext) {
    this.client = client;
    this.#url = url;
    this.#context = context;
    this.#cut = () => socketOf(client).destroy();
    // Told to whoever waits for a query too; without a listener it would end the process.
    client.on('error', (error) => (this.#lost ??= error));
    context.signal.addEventListener('abort', this.#cut, { once: true });
  }

  /** Throws `TaskError`. */
  static async open(settings: PostgresSettings, context: TaskContext): Promise<PostgresSession> {
    const url = new URL(settings.url);
    context.services.policy.host(url);
    const { default: pg } = await import('pg');
    const client = new pg.Client(await configOf(settings, url, context));
    const session = new PostgresSession(client, url, context);
    try {
      context.signal.throwIfAborted();
      await client.connect();
      await prepareSession(client, context);
      return session;
    } catch (error) {
      await session.close();
      throw session.failure(error);
    }
  }

  /** What an error means for the attempt. */
  failure(error: unknown): TaskError {
    const { signal } = this.#context;
    if (signal.aborted) return taskErrorOf(signal.reason);
    return postgresError(error, this.#url);
  }

  /** Rolls back what was not committed. */
  async close(): Promise<void> {
    const { signal } = this.#context;
    signal.removeEventListener('abort', this.#cut);
    if (this.#lost !== undefined || signal.aborted) this.#cut();
    else await this.client.end().catch(this.#cut);
  }
}

/** pg names its socket, but not in its types. */
function socketOf(client: Client): { destroy(): void } {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  return connection.stream;
}

async function configOf(
  { password, tls, ca, connectTimeout }: PostgresSettings,
  url: URL,
  { services }: TaskContext,
): Promise<ClientConfig> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const secret = password === undefined ? '' : services.policy.secret(password);
  const mode = tls ?? (THIS_DEVICE.test(url.hostname) && ca === undefined ? 'off' : 'verify');
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    // A function, because without a text pg takes the password of the agent's environment or home
    // directory, which are not for hosts that a job names.
    password: () => secret,
    connectionTimeoutMillis: connectTimeout,
    application_name: 'runnel-agent',
    keepAlive: true,
    types: postgresTypes,
    ssl: mode === 'off' ? false : await tlsOf(mode, ca, host, services),
  };
}

async function tlsOf(
  mode: 'require' | 'verify',
  ca: string | undefined,
  host: string,
  { policy }: TaskContext['services'],
): Promise<Exclude<ClientConfig['ssl'], boolean | undefined>> {
  const trusted = ca === undefined ? {} : { ca: await readFile(policy.path(ca), 'utf8') };
  const named = isIP(host) === 0 ? { servername: host } : {};
  return { rejectUnauthorized: mode === 'verify', ...trusted, ...named };
}

async function prepareSession(client: Client, context: TaskContext): Promise<void> {
  await client.query("SET TIME ZONE 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'");
  const { timeoutMs } =
    context.program.tasks.find(({ definition }) => definition.id === context.task)?.definition ??
    {};
  if (timeoutMs !== undefined && timeoutMs !== null) {
    await client.query(`SET statement_timeout = ${Math.min(timeoutMs, 2_147_483_647)}`);
  }
  await client.query("SET client_connection_check_interval = '2s'").catch((error: unknown) => {
    context.log.info(`the server does not watch its clients: ${messageOf(error)}`);
  });
}

/** Classes by SQLSTATE (PostgreSQL's manual, appendix A): the first prefix that fits. */
const CLASSES: readonly (readonly [prefix: string, errorClass: ErrorClass])[] = [
  ['57014', 'timeout'],
  ['08', 'network'],
  ['57P', 'unavailable'],
  ['53', 'unavailable'],
  ['40', 'unavailable'],
  ['55P03', 'unavailable'],
  ['22', 'data'],
  ['23', 'data'],
];
const SQLSTATE = /^[0-9A-Z]{5}$/;

function postgresError(error: unknown, url: URL): TaskError {
  if (error instanceof TaskError) return error;
  const { code, detail, hint } = (error ?? {}) as {
    code?: unknown;
    detail?: unknown;
    hint?: unknown;
  };
  const more = typeof detail === 'string' ? ` (${detail})` : '';
  const message = `PostgreSQL at ${url.host}: ${messageOf(error)}${more}`;
  const options = { cause: error, ...(typeof hint === 'string' && { hint }) };
  if (typeof code === 'string' && SQLSTATE.test(code) && !code.startsWith('E')) {
    const [, errorClass = 'rejected'] = CLASSES.find(([prefix]) => code.startsWith(prefix)) ?? [];
    return new TaskError(errorClass, `postgres_${code}`, message, options);
  }
  const known = taskErrorOf(error);
  const isOurs = error instanceof TypeError || error instanceof RangeError;
  if (known.class !== 'other' || isOurs) {
    return new TaskError(known.class, known.code, message, options);
  }
  // What pg says without a SQLSTATE is that it cannot log in as the server wants (SASL), or about
  // the connection: refused, lost, its certificate.
  const isLogin = /\bSASL\b|password/i.test(messageOf(error));
  return new TaskError(isLogin ? 'rejected' : 'network', known.code, message, options);
}
