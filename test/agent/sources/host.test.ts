/** The host source on this very machine. */
import { expect, it, onTestFinished } from 'vitest';
import { HostSampler } from '@runnel/agent/resources/host-readings.ts';
import { createSource } from '@runnel/agent/sources/registry.ts';
import { HostSource } from '@runnel/agent/sources/host.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { durationMs } from '@runnel/shared/ids.ts';
import { CommitDriver, Durable } from '../../contracts/commit-driver.ts';
import { startBroker } from './embedded-harness.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

function host(everyMs: number): HostSource {
  const sampler = new HostSampler({ clock: systemClock, diskPath: '/' });
  return new HostSource('host-test', everyMs, sampler);
}

async function drive(source: CommitDriver): Promise<CommitDriver> {
  onTestFinished(() => source.source.stop());
  return source.start();
}

it('offers a reading per interval with the fields that jobs use', async () => {
  const driver = await drive(new CommitDriver(host(20)));
  await waitFor('three', () => driver.durable.records.length >= 3);
  const [first] = driver.durable.records;
  expect(first?.topic).toBe('host');
  expect(JSON.parse(first?.text ?? '')).toMatchObject({
    cpuPercent: expect.any(Number),
    memoryUsedBytes: expect.any(Number),
    memoryTotalBytes: expect.any(Number),
    load1: expect.any(Number),
    processors: expect.any(Number),
  });
  expect(driver.connected).toBe(true);
});

it('takes no reading while there is no room, and counts what a failed commit loses', async () => {
  const driver = await drive(
    new CommitDriver(host(5), new Durable(), { auto: false, gatherMax: 2 }),
  );
  await waitFor('full', () => driver.gathered.length === 2);
  driver.discard();
  await waitFor('full again', () => driver.gathered.length === 2);
  expect(driver.offeredWhileFull).toBe(0);
  expect(driver.dropped).toEqual({ discarded_reading: 2 });
});

it('comes out of the registry like the others', async () => {
  const { broker } = await startBroker();
  const deps = {
    agent: 'a1',
    dataDir: tempDir(),
    clock: systemClock,
    defaultBroker: { kind: 'embedded', broker },
  } as const;
  const every = durationMs(1000);
  const kinds = await Promise.all([
    createSource({ kind: 'host', config: { every } }, 'host-1', deps),
    createSource({ kind: 'file', config: { path: 'x', from: 'start', every } }, 'file-1', deps),
    createSource({ kind: 'mqtt', config: { topic: 'a/#', qos: 1, protocol: 'auto' } }, 'm-1', deps),
    createSource(
      { kind: 'mqtt', config: { url: 'mqtt://h', topic: 'a', qos: 0, protocol: '3.1.1' } },
      'm-2',
      deps,
    ),
  ]);
  expect(kinds.map((source) => source.constructor.name)).toEqual([
    'HostSource',
    'FileSource',
    'BrokerSource',
    'MqttSource',
  ]);
});
