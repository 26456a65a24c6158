/** What decides on time and is no record is in the journal, for every job and every replay (I6). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ControlEntry } from '@runnel/agent/journal/control-entry.ts';
import { isClockSynchronised } from '@runnel/agent/resources/clock-sync.ts';
import { compileJob } from '@runnel/agent/streams/compile-job.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { desired } from './counting-job.ts';
import { ManualClock } from './manual-clock.ts';
import { openSite, type Site } from './site.ts';

/** The control entries that are journaled, oldest first. */
function entries<Kind extends ControlEntry['kind']>(
  { runtime: { journal } }: Site,
  kind: Kind,
): Extract<ControlEntry, { kind: Kind }>[] {
  const found: ControlEntry[] = [];
  for (let block = journal.firstOffset.block; block < journal.nextBlock; block++) {
    const reader = journal.read(block);
    for (let item = reader?.next(); item !== undefined; item = reader?.next()) {
      if (item.kind === 'control' && item.entry.kind === kind) found.push(item.entry);
    }
  }
  return found as Extract<ControlEntry, { kind: Kind }>[];
}

const connected = (site: Site) => entries(site, 'source').map((entry) => entry.connected);

describe('a source', () => {
  it('that connects and is read at once is told of once', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    for (let v = 0; v < 50; v++) site.source().give({ payload: { v } });
    await site.settled();
    expect(connected(site)).toEqual([false, true]);
  });

  it('that is held back over a commit is not idle: the journal has it gone and back', async () => {
    const budgets = { journalBytesMax: 20_000, gather: { recordsMax: 100, bytesMax: 1e9 } };
    const site = await openSite({ budgets });
    const blocking = (paused: boolean) => ({ ...desired('a', 1, { onLag: 'block' }), paused });
    await site.runtime.applyJobs([blocking(true)]);
    site.source().give(...Array.from({ length: 3000 }, (_, v) => ({ payload: { v } })));
    await waitFor('the journal to be full', () => connected(site).at(-1) === false);
    await site.runtime.applyJobs([blocking(false)]);
    await site.settled();
    await waitFor('it to be read again', () => connected(site).at(-1) === true);
  });

  it('that is gone is told again to a job that begins later', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a')]);
    site.source().connected(false);
    await waitFor('the entry', () => connected(site).join() === 'false,true,false');
    await site.runtime.applyJobs([desired('a'), desired('b')]);
    await waitFor('it again', () => connected(site).join() === 'false,true,false,false');
  });
});

describe('the clock', () => {
  const told = (site: Site) => entries(site, 'clock').map(({ synchronised }) => synchronised);

  it('is told of at the start and when it becomes synchronised', async () => {
    const clock = new ManualClock(1_000_000);
    let synchronised = false;
    const site = await openSite({ clock, isClockSynchronised: () => synchronised });
    await site.runtime.applyJobs([desired('a')]);
    await waitFor('the first', () => told(site).join() === 'false');
    synchronised = true;
    clock.pass(10_000);
    await waitFor('the change', () => told(site).join() === 'false,true');
    clock.pass(10_000);
    await site.runtime.applyJobs([desired('a'), desired('b')]);
    expect(told(site)).toEqual([false, true]);
  });

  it('that is not synchronised puts maxAhead off, for a job that reads it later too', async () => {
    const document = {
      apiVersion: 'runnel/v1',
      kind: 'StreamJob',
      metadata: { name: 'a' },
      sources: { in: { mqtt: { topic: 't' }, time: 'payload.ts' } },
      steps: [{ map: { select: { n: 'payload.n' } } }],
      sinks: [{ from: 'map', results: { dataset: 'd' } }],
    };
    const named = (name: string, paused: boolean) => {
      return { ...desired(name), document: { ...document, metadata: { name } }, paused };
    };
    const clock = new ManualClock(1_000_000);
    const site = await openSite({ clock, compile: compileJob, isClockSynchronised: () => false });
    await site.runtime.applyJobs([named('live', false), named('later', true)]);
    const [id = ''] = site.sources.keys();
    const give = (n: number) =>
      site.source(id).give({ payload: { n, ts: Date.UTC(2026, 10, 22) + n } });
    give(1);
    await site.settled();
    await site.runtime.applyJobs([named('live', false), named('later', false)]);
    give(2);
    await site.settled();
    await waitFor('all', () => site.runtime.outbox.depth().rows === 4);
    expect(site.runtime.jobReports()).toMatchObject([{ deadLetters: 0 }, { deadLetters: 0 }]);
  });

  it('is believed when its keeper has set it, or nobody says that he keeps it', () => {
    const today = Date.UTC(2026, 10, 22);
    const dir = join(tempDir('timesync'), 'timesync');
    expect(isClockSynchronised(today, dir)).toBe(true);
    mkdirSync(dir);
    expect(isClockSynchronised(today, dir)).toBe(false);
    writeFileSync(join(dir, 'synchronized'), '');
    expect(isClockSynchronised(today, dir)).toBe(true);
    expect(isClockSynchronised(60_000, dir)).toBe(false);
  });
});
