/** A mosquitto of its own for one run, with what it logs of subscriptions. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram } from '../support/find-program.ts';
import { freePort } from '../support/free-port.ts';
import { start } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';

export async function startMosquittoAt(dir: string): Promise<{
  readonly port: number;
  subscribed(topic: string): Promise<void>;
  end(): Promise<void>;
}> {
  const port = await freePort();
  const file = join(dir, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'max_queued_messages 0',
    'user root',
    'log_type all',
  ];
  writeFileSync(file, lines.join('\n'));
  const log = join(dir, 'mosquitto.log');
  const broker = start(requireProgram('mosquitto'), ['-c', file], log);
  await waitFor('mosquitto', () => /running/.test(broker.output()));
  return {
    port,
    async subscribed(topic) {
      await waitFor(`a subscription to ${topic}`, () => broker.output().includes(topic), 60_000);
    },
    end: () => broker.end('SIGTERM'),
  };
}
