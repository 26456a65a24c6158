/** A real nats-server for tests: found or fetched once, on a free port, ended with the test. */
import pino from 'pino';
import { onTestFinished } from 'vitest';
import { findNatsServer } from '@runnel/control-plane/nats/find-nats-server.ts';
import type { ServerJwts } from '@runnel/control-plane/nats/nats-config.ts';
import { NatsServer } from '@runnel/control-plane/nats/nats-server.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { freePort } from './free-port.ts';
import { tempDir } from './temp-dir.ts';

export const silentLog = pino({ level: process.env.TEST_LOG ?? 'silent' });

/** The path of a nats-server that is new enough. */
export async function natsServerPath(): Promise<string> {
  const found = await findNatsServer({ clock: systemClock, env: process.env });
  return found.path;
}

/** Ended when the test is finished; `dir` may be given to start one again on the same files. */
export async function startNats(options: {
  readonly jwts: () => Promise<ServerJwts>;
  readonly dir?: string;
  readonly port?: number;
}): Promise<NatsServer> {
  const server = await NatsServer.start({
    dir: options.dir ?? tempDir('nats'),
    program: await natsServerPath(),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    jwts: options.jwts,
    listen: { host: '127.0.0.1', port: options.port ?? (await freePort()) },
  });
  onTestFinished(() => server.stop());
  return server;
}
