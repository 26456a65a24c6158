/** Every local sink, held to one contract. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FileSink } from '@runnel/agent/sinks/file.ts';
import { collect, mqttSink, sinkRegistry } from '../agent/sinks/mqtt-sink-harness.ts';
import { startBroker } from '../agent/sources/embedded-harness.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { type SinkTarget, sinkContract } from './sink-contract.ts';

sinkContract({
  name: 'file',
  exactlyOnce: true,
  async setup(): Promise<SinkTarget> {
    const dir = tempDir('file-sink');
    const path = join(dir, 'out', 'rows.jsonl');
    return {
      make: async () => new FileSink(path, new Set()),
      arrived: () => linesOf(path),
      async away() {
        renameSync(join(dir, 'out'), join(dir, 'gone'));
        mkdirSync(join(dir, 'out'));
        // A directory where the file should be: no user, not even root, can write it.
        mkdirSync(path);
      },
      async back() {
        rmSync(join(dir, 'out'), { recursive: true });
        renameSync(join(dir, 'gone'), join(dir, 'out'));
      },
    };
  },
});

sinkContract({
  name: 'mqtt, a broker of its own',
  programs: ['mosquitto'],
  exactlyOnce: false,
  async setup(): Promise<SinkTarget> {
    const broker = await Mosquitto.start();
    const seen = await collect(broker.url);
    const registry = sinkRegistry({ kind: 'external', endpoint: { url: broker.url } });
    return {
      make: () => registry.create(mqttSink('rows/{{key}}')),
      arrived: () => seen.values(),
      away: () => broker.kill(),
      async back() {
        await broker.up();
        await seen.ready();
      },
    };
  },
});

sinkContract({
  name: 'mqtt, the embedded broker',
  exactlyOnce: false,
  async setup(): Promise<SinkTarget> {
    const { broker, url } = await startBroker();
    const user = {};
    broker.use(user);
    await waitFor('listening', () => broker.port !== null);
    const seen = await collect(url);
    const registry = sinkRegistry({ kind: 'embedded', broker });
    return {
      make: () => registry.create(mqttSink('rows/{{key}}')),
      arrived: () => seen.values(),
    };
  },
});

function linesOf(path: string): unknown[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => (JSON.parse(line) as { value: unknown }).value);
}
