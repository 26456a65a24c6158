/**
 * `runnel-control`: runs the control plane, and what belongs to running it. Composition root of
 * the process: real clock, signals, standard streams.
 *
 * stdout holds only answers (`ready …`, links, paths); the log goes to stderr as JSON lines. Exit
 * codes: 0 ended as asked, 1 failed, 2 wrong arguments.
 */
import { Command, CommanderError, Option } from 'commander';
import pino from 'pino';
import { systemClock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { controlVersion } from './control-version.ts';
import { natsConfigText, rotateSigningKey } from './key-commands.ts';
import { startControlPlane } from './main.ts';
import { findNatsServer } from './nats/find-nats-server.ts';
import type { ListenAddress } from './nats/listen-address.ts';
import {
  addServeOptions,
  address,
  natsChoice,
  packagesChoice,
  path,
  type ServeOptions,
  type TlsOptions,
  tlsOf,
} from './serve-options.ts';
import { KEEP_DEFAULT } from './store/retention.ts';
import { requestSignInLink } from './sign-in-link.ts';

interface NatsConfigOptions extends TlsOptions {
  readonly data: string;
  readonly listen: ListenAddress;
  readonly dir: string;
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
    packages: await packagesChoice(options),
    nats: natsChoice(options),
    natsAdvertise: options.natsAdvertise,
    heartbeatIntervalMs: options.heartbeatInterval,
    keep: {
      ...KEEP_DEFAULT,
      resultsMs: options.keepResults,
      resultsRows: options.keepResultsRows,
      eventsMs: options.keepEvents,
      runsMs: options.keepRuns,
    },
    offlineAlertAfterMs: options.offlineAlertAfter,
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

function program(): Command {
  const root = new Command('runnel-control')
    .description('The Runnel control plane: enrols devices, pushes jobs, shows the fleet.')
    .version(`runnel-control ${controlVersion}`, '-V, --version')
    .exitOverride();
  const serving = root.command('serve').description('run the control plane until SIGTERM');
  addServeOptions(serving).action(serve);
  addKeyCommands(root);
  root
    .command('sign-in-link')
    .description('print a one-time link that signs a browser in as admin')
    .requiredOption('--data <dir>', 'directory of the running control plane', path)
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
    .requiredOption('--data <dir>', 'directory of the control plane', path)
    .addOption(
      new Option('--listen <host:port>', 'where that server listens')
        .argParser(address)
        .default({ host: '0.0.0.0', port: 4222 }, '0.0.0.0:4222'),
    )
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
    .requiredOption('--data <dir>', 'directory of a control plane that does not run', path)
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
