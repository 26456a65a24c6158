/**
 * A control plane with one bug, composed from the real parts: it inserts what comes and moves the
 * mark without looking at what the mark is.
 */
import { pino } from 'pino';
import { insertRows } from '@runnel/control-plane/intake/apply-block.ts';
import { startControlPlane } from '@runnel/control-plane/main.ts';
import { parseListen } from '@runnel/control-plane/nats/listen-address.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { limits } from '@runnel/shared/limits.ts';

const options = process.argv.slice(2);
const option = (name: string): string => options[options.indexOf(name) + 1] as string;
const [host, port] = option('--http').split(':');
const control = await startControlPlane({
  heartbeatIntervalMs: limits.heartbeatIntervalMs,
  dataDir: option('--data'),
  http: { host: host as string, port: Number(port) },
  publicUrl: undefined,
  nats: { kind: 'own', listen: parseListen(option('--nats-listen')) },
  natsAdvertise: option('--nats-advertise'),
  clock: systemClock,
  random: systemRandom,
  log: pino({ level: 'warn' }, process.stderr),
  env: process.env,
  signal: new AbortController().signal,
  async applyBlock(transaction, block, now) {
    await insertRows(transaction, block, block.rows, now);
    return { mark: block.last, rows: block.rows, lost: 0, outcome: 'applied' };
  },
});
process.stdout.write(`ready ${control.url}\n`);
process.once('SIGTERM', () => {
  void control.close().then(() => process.exit(0));
});
