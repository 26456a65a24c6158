/**
 * `runnel-control`: runs the control plane, and what belongs to running it. Composition root of
 * the process: real clock, signals, standard streams.
 *
 * stdout holds only answers (`ready …`, links, paths); the log goes to stderr as JSON lines. Exit
 * codes: 0 ended as asked, 1 failed, 2 wrong arguments.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import pino from 'pino';
import { systemClock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import type { NatsChoice } from './connect-nats.ts';
import { controlVersion } from './control-version.ts';
import { natsConfigText, rotateSigningKey } from './key-commands.ts';
import { startControlPlane } from './main.ts';
import { findNatsServer } from './nats/find-nats-server.ts';
import { type ListenAddress, parseListen } from './nats/listen-address.ts';
import { KEEP_DEFAULT } from './store/retention.ts';
import type { NatsTls } from './nats/nats-config.ts';
import { requestSignInLink } from './sign-in-link.ts';

interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

interface NatsConfigOptions extends TlsOptions {
  readonly data: string;
  readonly listen: ListenAddress;
  readonly dir: string;
}

interface ServeOptions extends TlsOptions {
  readonly data: string;
  readonly http: ListenAddress;
  readonly publicUrl?: string;
  readonly natsListen?: ListenAddress;
  readonly natsUrl?: string;
  readonly natsCreds?: string;
  readonly natsAdvertise?: string;
  readonly keepResults: number;
  readonly keepResultsRows: number;
  readonly keepEvents: number;
  readonly logLevel: string;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function serve(options: ServeOptions): Promise<void> {
  const log = pino({ level: options.logLevel, name: 'runnel-control' }, pino.destination(2));
  const ending = endSignals();
  const control = await startControlPlane({
    dataDir: options.data,
    http: options.http,
    publicUrl: options.publicUrl,
    nats: natsChoice(options),
    natsAdvertise: options.natsAdvertise,
    keep: {
      ...KEEP_DEFAULT,
      resultsMs: options.keepResults,
      resultsRows: options.keepResultsRows,
      eventsMs: options.keepEvents,
    },
    clock: systemClock,
    random: systemRandom,
    log,
    env: process.env,
    signal: ending.signal,
  });
  if (control.signInLink !== undefined) say(`sign in: ${control.signInLink}`);
  say(`ready ${control.url}`);
  await ending.asked;
  log.info('ending');
  await control.close();
  ending.stop();
}

/** The first SIGTERM or SIGINT asks for a clean end, a second one ends at once. */
function endSignals() {
  const controller = new AbortController();
  const asked = new Promise<void>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort(new RunnelError('ended', 'ended before it was ready'));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    asked,
    signal: controller.signal,
    stop: () => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
    },
  };
}

function natsChoice(options: ServeOptions): NatsChoice {
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

function tlsOf(options: TlsOptions): NatsTls | undefined {
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

function address(text: string): ListenAddress {
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

function keptRows(text: string): number {
  const rows = Number(text);
  if (Number.isSafeInteger(rows) && rows > 0) return rows;
  throw new InvalidArgumentError('write a whole number above 0');
}

function httpUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) {
    return text.replace(/\/+$/, '');
  }
  throw new InvalidArgumentError('write http://HOST[:PORT] or https://HOST[:PORT]');
}

function program(): Command {
  const root = new Command('runnel-control')
    .description('The Runnel control plane: enrols devices, pushes jobs, shows the fleet.')
    .version(`runnel-control ${controlVersion}`, '-V, --version')
    .exitOverride();
  root
    .command('serve')
    .description('run the control plane until SIGTERM')
    .requiredOption('--data <dir>', 'directory of everything that is kept')
    .option('--http <host:port>', 'where API and page are served', address, {
      host: '127.0.0.1',
      port: 8080,
    })
    .option('--public-url <url>', 'how people and devices reach it, when not by --http', httpUrl)
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
      ),
    )
    .option('--nats-advertise <url>', 'how devices reach NATS, when not as it listens')
    .option('--tls-cert <file>', 'certificate of the own nats-server (PEM)')
    .option('--tls-key <file>', 'its private key (PEM)')
    .option('--tls-ca <file>', 'private CA that signed the certificate (PEM); devices get it')
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
      new Option('--log-level <level>', 'least level that is logged')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info'),
    )
    .action(serve);
  addKeyCommands(root);
  root
    .command('sign-in-link')
    .description('print a one-time link that signs a browser in as admin')
    .requiredOption('--data <dir>', 'directory of the running control plane')
    .action(async ({ data }: { data: string }) => say(await requestSignInLink(data)));
  root
    .command('nats-server')
    .description('find or fetch a nats-server and print its path')
    .option('--cache <dir>', 'where a fetched one is kept')
    .action(async ({ cache }: { cache?: string }) => {
      const found = await findNatsServer({
        clock: systemClock,
        env: process.env,
        log: (line) => process.stderr.write(`${line}\n`),
        ...(cache === undefined ? {} : { cacheDir: cache }),
      });
      say(found.path);
    });
  return root;
}

function addKeyCommands(root: Command): void {
  root
    .command('nats-config')
    .description('print a whole configuration for a nats-server that others run (--nats-url)')
    .requiredOption('--data <dir>', 'directory of the control plane')
    .option('--listen <host:port>', 'where that server listens', address, {
      host: '0.0.0.0',
      port: 4222,
    })
    .option('--dir <dir>', "that server's own directory for accounts", '/var/lib/nats/runnel')
    .option('--tls-cert <file>', 'its certificate there (PEM)')
    .option('--tls-key <file>', 'its private key there (PEM)')
    .action(async (options: NatsConfigOptions) => {
      const { data, listen, dir } = options;
      const tls = tlsOf(options);
      const request = { dataDir: data, listen, resolverDir: dir, ...(tls && { tls }) };
      process.stdout.write(await natsConfigText(request, systemClock, systemRandom));
    });
  root
    .command('rotate-signing-key')
    .description('sign desired state with a new key from the next start on')
    .requiredOption('--data <dir>', 'directory of a control plane that does not run')
    .action(async ({ data }: { data: string }) => {
      await rotateSigningKey(data, systemRandom);
      say('a new key signs from the next start on');
    });
}

async function main(): Promise<number> {
  try {
    await program().parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    // Ended by a signal before it was ready: that is what was asked for.
    if (error instanceof RunnelError && error.code === 'ended') return 0;
    const hint = error instanceof RunnelError && error.hint !== undefined ? ` (${error.hint})` : '';
    process.stderr.write(`runnel-control: ${messageOf(error)}${hint}\n`);
    if (!(error instanceof RunnelError) && error instanceof Error) {
      process.stderr.write(`${error.stack ?? ''}\n`);
    }
    return error instanceof RunnelError && error.code === 'arguments' ? 2 : 1;
  }
}

process.exitCode = await main();
