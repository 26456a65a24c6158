/** An embedded broker on a free port, open, stopped with the test. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import {
  EmbeddedBroker,
  type EmbeddedBrokerOptions,
} from '@runnel/agent/sources/embedded-broker.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { freePort } from '../../support/free-port.ts';

export interface TestBroker {
  readonly broker: EmbeddedBroker;
  readonly port: number;
  readonly url: string;
}

export async function startBroker(
  options: Partial<EmbeddedBrokerOptions> = {},
): Promise<TestBroker> {
  const port = options.port ?? (await freePort());
  const broker = new EmbeddedBroker({
    host: '127.0.0.1',
    clock: systemClock,
    log: pino({ level: 'silent' }),
    retryMs: 50,
    ...options,
    port,
  });
  onTestFinished(() => broker.stop());
  broker.open();
  return { broker, port, url: `mqtt://127.0.0.1:${port}` };
}
