/**
 * The options of `runnel-control serve` and what they mean. Wrong ones are refused by commander, or
 * as `arguments` where two of them do not go together.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { NatsChoice } from './connect-nats.ts';
import { type ListenAddress, parseListen } from './nats/listen-address.ts';
import type { NatsTls } from './nats/nats-config.ts';
import type { PackagesChoice } from './packages/package-folder.ts';
import { KEEP_DEFAULT } from './store/retention.ts';

const HEARTBEAT_MS_MIN = 1000;
const HEARTBEAT_MS_MAX = 300_000;

export interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

export interface ServeOptions extends TlsOptions {
  readonly data: string;
  readonly http: ListenAddress;
  readonly publicUrl?: string;
  readonly publicCa?: string;
  readonly packages?: string;
  readonly packagesKey?: string;
  readonly natsListen?: ListenAddress;
  readonly natsUrl?: string;
  readonly natsCreds?: string;
  readonly natsAdvertise?: string;
  readonly heartbeatInterval: number;
  readonly keepResults: number;
  readonly keepResultsRows: number;
  readonly keepEvents: number;
  readonly keepRuns: number;
  readonly offlineAlertAfter: number;
  readonly logLevel: string;
}

/** Adds them; the action gets `ServeOptions`. */
export function addServeOptions(command: Command): Command {
  return addKeepOptions(command)
    .requiredOption('--data <dir>', 'directory of everything that is kept', path)
    .addOption(
      new Option('--http <host:port>', 'where API and page are served')
        .argParser(address)
        .default({ host: '127.0.0.1', port: 8080 }, '127.0.0.1:8080'),
    )
    .option('--public-url <url>', 'how people and devices reach it, when not by --http', httpUrl)
    .option('--public-ca <file>', 'private CA of --public-url (PEM); installers get it', path)
    .option('--packages <dir>', 'archives of the agent, made by npm run package', path)
    .option('--packages-key <key>', 'offer only archives of this release key', releaseKey)
    .option('--nats-listen <host:port>', 'where its own nats-server listens', address)
    .addOption(
      new Option('--nats-url <url>', 'use this NATS server instead of an own one').conflicts([
        'natsListen',
        'tlsCert',
        'tlsKey',
      ]),
    )
    .addOption(
      new Option(
        '--nats-creds <file>',
        'our user on a --nats-url server of another operator, which then must know our account; ' +
          'revoked devices stay connected there until their credentials end. A server that runs ' +
          'with what nats-config prints needs none',
      ).argParser(path),
    )
    .option('--nats-advertise <url>', 'how devices reach NATS, when not as it listens')
    .option('--tls-cert <file>', 'certificate of the own nats-server (PEM)', path)
    .option('--tls-key <file>', 'its private key (PEM)', path)
    .option('--tls-ca <file>', 'private CA that signed the certificate (PEM); devices get it', path)
    .addOption(
      new Option(
        '--heartbeat-interval <duration>',
        'how often devices say that they are there, 1s to 5m; one that missed 5 is offline',
      )
        .argParser(heartbeatInterval)
        .default(limits.heartbeatIntervalMs, '10s'),
    )
    .addOption(
      new Option('--offline-alert-after <duration>', 'how long a device is offline until it alerts')
        .argParser(silentFor)
        .default(limits.offlineAlertAfterMs, '5m'),
    )
    .addOption(
      new Option('--log-level <level>', 'least level that is logged')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info'),
    );
}

function addKeepOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--keep-results <duration>', 'how long results and alerts are kept')
        .argParser(keptFor)
        .default(KEEP_DEFAULT.resultsMs, '30d'),
    )
    .option(
      '--keep-results-rows <n>',
      'how many results and alerts are kept; the oldest go first',
      keptRows,
      KEEP_DEFAULT.resultsRows,
    )
    .addOption(
      new Option('--keep-events <duration>', 'how long events are kept')
        .argParser(keptFor)
        .default(KEEP_DEFAULT.eventsMs, '30d'),
    )
    .addOption(
      new Option('--keep-runs <duration>', 'how long runs of batch jobs are kept')
        .argParser(keptFor)
        .default(KEEP_DEFAULT.runsMs, '90d'),
    );
}

/** Error `arguments`: a CA that cannot be read. */
export async function packagesChoice(options: ServeOptions): Promise<PackagesChoice> {
  const { data, packages, packagesKey, publicCa } = options;
  return {
    folder: packages ?? defaultPackages(data),
    releaseKey: packagesKey,
    publicCa: publicCa === undefined ? undefined : await caText(publicCa),
  };
}

/** In the data directory, or where `npm run package` of this very checkout puts them. */
function defaultPackages(data: string): string {
  const own = join(data, 'packages');
  const checkout = join(dirname(fileURLToPath(import.meta.url)), '../..');
  const isCheckout = existsSync(join(checkout, 'deploy/package'));
  return existsSync(own) || !isCheckout ? own : join(checkout, '.runnel/packages');
}

async function caText(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (/^[^']*-----BEGIN CERTIFICATE-----[^']*$/.test(text)) return text;
  } catch (cause) {
    throw new RunnelError('arguments', `--public-ca: ${messageOf(cause)}`, { cause });
  }
  throw new RunnelError('arguments', `--public-ca: ${file} holds no certificate in PEM`);
}

export function natsChoice(options: ServeOptions): NatsChoice {
  const { natsUrl, natsCreds, natsListen, tlsCa } = options;
  if (natsUrl !== undefined) {
    return {
      kind: 'given',
      url: natsUrl,
      ...(natsCreds === undefined ? {} : { credsFile: natsCreds }),
      ...(tlsCa === undefined ? {} : { caFile: tlsCa }),
    };
  }
  const tls = tlsOf(options);
  return {
    kind: 'own',
    ...(natsListen === undefined ? {} : { listen: natsListen }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** Error `arguments`: half of a pair. */
export function tlsOf(options: TlsOptions): NatsTls | undefined {
  const { tlsCert, tlsKey, tlsCa } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new RunnelError('arguments', '--tls-cert and --tls-key belong together');
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    if (tlsCa === undefined) return undefined;
    throw new RunnelError('arguments', '--tls-ca needs --tls-cert and --tls-key, or --nats-url');
  }
  return {
    certFile: tlsCert,
    keyFile: tlsKey,
    ...(tlsCa === undefined ? {} : { caFile: tlsCa }),
  };
}

/**
 * A path of this machine, from the working directory: nats-server, whose working directory is
 * another, is given it too, and an orphan is known by it.
 */
export function path(text: string): string {
  if (text === '') throw new InvalidArgumentError('write a path');
  return resolve(text);
}

export function address(text: string): ListenAddress {
  try {
    return parseListen(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

function keptFor(text: string): number {
  const ms = durationOf(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError('write a number with a unit, such as 12h or 30d');
}

function heartbeatInterval(text: string): number {
  const ms = durationOf(text);
  if (ms !== undefined && ms >= HEARTBEAT_MS_MIN && ms <= HEARTBEAT_MS_MAX) return ms;
  throw new InvalidArgumentError('write a duration from 1s to 5m');
}

function silentFor(text: string): number {
  const ms = durationOf(text);
  if (ms !== undefined && ms >= 0 && ms <= limits.offlineAlertAfterMsMax) return ms;
  throw new InvalidArgumentError('write a number with a unit, from 0s to 30d, such as 10m');
}

function keptRows(text: string): number {
  const rows = Number(text);
  if (Number.isSafeInteger(rows) && rows > 0) return rows;
  throw new InvalidArgumentError('write a whole number above 0');
}

function releaseKey(text: string): string {
  if (/^[A-Za-z0-9_-]{43}$/.test(text)) return text;
  throw new InvalidArgumentError('write the public key that npm run package printed');
}

function httpUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) {
    return text.replace(/\/+$/, '');
  }
  throw new InvalidArgumentError('write http://HOST[:PORT] or https://HOST[:PORT]');
}
