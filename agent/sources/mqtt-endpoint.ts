/**
 * Where a broker is and how to log in there, shared by the mqtt source and the mqtt sink.
 *
 * Credentials are references; they are read anew at every connection, so that a rotated password
 * or certificate needs no restart. Refused: a URL that is not mqtt:// or mqtts://, credentials
 * inside the URL (they would end up in logs and in the control plane), a client certificate
 * without its key.
 */
import { readFile } from 'node:fs/promises';
import { type Socket, connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';

/** A secret by reference: an environment variable, or a file (a trailing newline is cut). */
export type SecretRef = { readonly env: string } | { readonly file: string };
export type ResolveSecret = (ref: SecretRef) => Promise<string>;

export interface MqttEndpoint {
  /** `mqtt://host:1883` or `mqtts://host:8883`. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: SecretRef | undefined;
  /** PEM files. `ca` replaces the system's roots. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

const PLAIN = new Set(['mqtt:', 'tcp:']);
const ENCRYPTED = new Set(['mqtts:', 'ssl:', 'tls:']);

function wrong(message: string, hint: string): RunnelError {
  return new RunnelError('source_config', message, { hint });
}

/** Throws `source_config` with what to write instead. */
export function brokerAddress(endpoint: MqttEndpoint): BrokerAddress {
  const url = URL.canParse(endpoint.url) ? new URL(endpoint.url) : undefined;
  if (url === undefined || url.hostname === '') {
    throw wrong(`${endpoint.url} is not a broker's URL`, 'write mqtt://host:1883');
  }
  if (url.username !== '' || url.password !== '') {
    throw wrong(
      `the URL of ${url.hostname} contains credentials`,
      'use username: and password: { env | file }',
    );
  }
  const tls = ENCRYPTED.has(url.protocol);
  if (!tls && !PLAIN.has(url.protocol)) {
    throw wrong(`${url.protocol}// is not supported`, 'use mqtt:// or mqtts://');
  }
  if (!tls && (endpoint.ca ?? endpoint.cert ?? endpoint.key) !== undefined) {
    throw wrong(`certificates are given for ${endpoint.url}`, 'use mqtts:// to encrypt');
  }
  if ((endpoint.cert === undefined) !== (endpoint.key === undefined)) {
    throw wrong('cert and key come together', 'give both, or neither');
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: url.port === '' ? (tls ? 8883 : 1883) : Number(url.port), tls };
}

/** Reads an environment variable or a file; the error names the reference, never the secret. */
export async function resolveSecret(ref: SecretRef): Promise<string> {
  if ('file' in ref) return (await readFile(ref.file, 'utf8')).replace(/\r?\n$/, '');
  const value = process.env[ref.env];
  if (value === undefined) {
    throw new RunnelError('secret_missing', `environment variable ${ref.env} is not set`, {
      retry: 'backoff',
    });
  }
  return value;
}

export interface Login {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly open: () => Socket;
}

/** Reads the credentials; `open` then makes the socket. Rejects when one cannot be read. */
export async function prepareLogin(endpoint: MqttEndpoint, resolve: ResolveSecret): Promise<Login> {
  const { host, port, tls } = brokerAddress(endpoint);
  const password = endpoint.password === undefined ? undefined : await resolve(endpoint.password);
  const { username } = endpoint;
  if (!tls) {
    return { username, password, open: () => connectTcp({ host, port, noDelay: true }) };
  }
  const [ca, cert, key] = await Promise.all(
    [endpoint.ca, endpoint.cert, endpoint.key].map(async (path) => readPem(path)),
  );
  const open = (): Socket =>
    connectTls({
      host,
      port,
      ...(isIP(host) === 0 && { servername: host }),
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    });
  return { username, password, open };
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  return readFile(path).catch((error: unknown) => {
    throw new RunnelError('secret_missing', `cannot read ${path}: ${messageOf(error)}`, {
      retry: 'backoff',
      cause: error,
    });
  });
}
