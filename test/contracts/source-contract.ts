/**
 * What every source owes the commit cycle, whatever its origin (agent/sources/source.ts).
 */
import { expect, it, onTestFinished } from 'vitest';
import type { Source } from '@runnel/agent/sources/source.ts';
import { describeWith } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';
import { CommitDriver, type DriverOptions, Durable } from './commit-driver.ts';

export interface SourceOrigin {
  /** A source over the same origin, as after a restart of the agent. */
  make(): Promise<Source>;
  /** Makes these records at the origin; need not wait until they are acknowledged. */
  produce(texts: readonly string[]): Promise<void>;
  /** How many records the origin knows to be acknowledged; undefined where it cannot tell. */
  readonly acknowledged?: () => number;
}

export interface SourceCase {
  readonly name: string;
  readonly programs?: readonly string[];
  readonly setup: () => Promise<SourceOrigin>;
}

const texts = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `r${from + index}`);

async function drive(
  origin: SourceOrigin,
  durable = new Durable(),
  options: DriverOptions = {},
): Promise<CommitDriver> {
  const driver = new CommitDriver(await origin.make(), durable, options);
  onTestFinished(() => driver.source.stop());
  await driver.start();
  await waitFor('connected', () => driver.connected);
  return driver;
}

export function sourceContract({ name, programs = [], setup }: SourceCase): void {
  describeWith(programs, `the source contract: ${name}`, () => {
    it('offers in the order of the origin and goes on from commit to commit', async () => {
      const origin = await setup();
      const driver = await drive(origin);
      await origin.produce(texts(40));
      await origin.produce(texts(40, 40));
      await waitFor('all', () => driver.durable.records.length === 80);
      expect(driver.durable.texts).toEqual(texts(80));
      expect(driver.source.report()).toMatchObject({ connected: true, records: 80, error: null });
    });

    it('acknowledges nothing before its commit, and then exactly that', async () => {
      const origin = await setup();
      const driver = await drive(origin, new Durable(), { auto: false });
      await origin.produce(texts(12));
      await waitFor('offered', () => driver.gathered.length === 12);
      expect(origin.acknowledged?.() ?? 0).toBe(0);
      driver.commit(5);
      const { acknowledged } = origin;
      if (acknowledged !== undefined) {
        await waitFor('five', () => acknowledged() === 5);
        driver.commit();
        await waitFor('the rest', () => acknowledged() === 12);
      }
      expect(driver.durable.texts).toEqual(texts(12).slice(0, driver.durable.records.length));
    });

    it('brings again what was not committed when the agent dies', async () => {
      const origin = await setup();
      const first = await drive(origin, new Durable(), { auto: false });
      await origin.produce(texts(12));
      await waitFor('offered', () => first.gathered.length === 12);
      first.commit(4);
      const durable = await first.crash();
      await drive(origin, durable);
      await waitFor('all', () => durable.records.length >= 12);
      expect(durable.texts).toEqual(texts(12));
    });

    it('brings nothing twice that was flushed, not acknowledged, when the agent dies', async () => {
      const origin = await setup();
      const first = await drive(origin, new Durable(), { auto: false });
      await origin.produce(texts(12));
      await waitFor('offered', () => first.gathered.length === 12);
      first.flush(7);
      const durable = await first.crash();
      await drive(origin, durable);
      await origin.produce(texts(3, 12));
      await waitFor('all', () => durable.texts.includes('r14'));
      expect(durable.texts).toEqual(texts(15));
    });

    it('brings again what a failed commit discarded', async () => {
      const origin = await setup();
      const driver = await drive(origin, new Durable(), { auto: false });
      await origin.produce(texts(10));
      await waitFor('offered', () => driver.gathered.length === 10);
      driver.commit(3);
      driver.discard();
      driver.automatic(true);
      await waitFor('again', () => driver.durable.records.length >= 10);
      expect(driver.durable.texts).toEqual(texts(10));
    });

    it('offers nothing more after it was told to stop reading, until resume', async () => {
      const origin = await setup();
      const driver = await drive(origin, new Durable(), { auto: false, gatherMax: 3 });
      await origin.produce(texts(30));
      await waitFor('full', () => driver.gathered.length === 3);
      driver.automatic(true);
      await waitFor('all', () => driver.durable.records.length === 30);
      expect(driver.durable.texts).toEqual(texts(30));
      expect(driver.offeredWhileFull).toBe(0);
      expect(driver.gatheredPeak).toBe(3);
    });

    it('goes on by itself when a commit fails while it is told to stop reading', async () => {
      const origin = await setup();
      const driver = await drive(origin, new Durable(), { auto: false, gatherMax: 3 });
      await origin.produce(texts(12));
      await waitFor('full', () => driver.gathered.length === 3);
      driver.discard();
      driver.automatic(true);
      await waitFor('all', () => driver.durable.records.length >= 12);
      expect(driver.durable.texts).toEqual(texts(12));
    });

    it('is silent after stop, and stops twice', async () => {
      const origin = await setup();
      const driver = await drive(origin);
      await origin.produce(texts(2));
      await waitFor('two', () => driver.durable.records.length === 2);
      await driver.source.stop();
      await driver.source.stop();
      await origin.produce(texts(2, 2));
      expect(driver.durable.texts).toEqual(texts(2));
    });
  });
}
