/** What a source left in the store stays while a job could use it, and goes when none can. */
import { describe, expect, it } from 'vitest';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { compileCount, desired } from './counting-job.ts';
import { openSite, type Site, type SiteOptions } from './site.ts';

interface Watched extends Site {
  /** Sources with an offset, and sources with a ring. */
  left(): string[][];
}

async function openWatched(options: SiteOptions = {}): Promise<Watched> {
  let store: CheckpointStore | undefined;
  const wrapStore = (opened: CheckpointStore): CheckpointStore => (store = opened);
  const site = await openSite({ ...options, wrapStore });
  const second = (key: unknown): string => (key as string[])[1] ?? '';
  return {
    ...site,
    left() {
      const offsets = [
        ...(store?.keys('meta', { start: ['source', ''], end: ['source', '~'] }) ?? []),
      ];
      const rings = [...(store?.keys('ring', {}) ?? [])].map((key) => (key as string[])[0] ?? '');
      return [offsets.map(second), [...new Set(rings)]];
    },
  };
}

const uses = (name: string, source: string, version = 1) => desired(name, version, { source });

async function feed(site: Site, ...sources: string[]): Promise<void> {
  for (const id of sources) site.source(id).give({ payload: { v: 1 } });
  await site.settled();
}

describe('offset and ring of a source', () => {
  it('go with the last job that used it', async () => {
    const site = await openWatched();
    await site.runtime.applyJobs([uses('a', 'x'), uses('b', 'x'), uses('c', 'y')]);
    await feed(site, 'x', 'y');
    await site.runtime.applyJobs([uses('b', 'x')]);
    expect(site.left()).toEqual([['x'], ['x']]);
    await site.runtime.applyJobs([]);
    expect(site.left()).toEqual([[], []]);
    await site.runtime.applyJobs([uses('c', 'y')]);
    await feed(site, 'y');
    expect(site.runtime.jobReports()).toMatchObject([{ name: 'c', recordsIn: 1 }]);
  });

  it('stay while the job is paused, and over a restart', async () => {
    const site = await openWatched();
    await site.runtime.applyJobs([uses('a', 'x')]);
    await feed(site, 'x');
    await site.runtime.applyJobs([{ ...uses('a', 'x'), paused: true }]);
    await site.close();
    const again = await openWatched({ dataDir: site.dataDir });
    await again.runtime.applyJobs([{ ...uses('a', 'x'), paused: true }]);
    expect(again.left()).toEqual([['x'], ['x']]);
  });

  it('stay for a frozen version that may come back, and go when it is let go', async () => {
    const site = await openWatched();
    await site.runtime.applyJobs([uses('a', 'x', 1)]);
    await feed(site, 'x');
    await site.runtime.applyJobs([uses('a', 'y', 2)]);
    await feed(site, 'y');
    expect(site.left()[0]).toEqual(['x', 'y']);
    await site.runtime.applyJobs([uses('a', 'z', 3)]);
    await feed(site, 'z');
    expect(site.left()[0]).toEqual(['y', 'z']);
  });

  it('all stay while a stored job cannot be compiled, and go with that job', async () => {
    const site = await openWatched();
    await site.runtime.applyJobs([uses('a', 'x'), uses('b', 'y')]);
    await feed(site, 'x', 'y');
    await site.close();
    const again = await openWatched({
      dataDir: site.dataDir,
      compile: (job) => {
        if (job.name === 'a') throw new Error('unknown operator');
        return compileCount(job);
      },
    });
    await again.runtime.applyJobs([uses('a', 'x')]);
    expect(again.runtime.jobReports()).toMatchObject([{ name: 'a', phase: 'refused' }]);
    expect(again.left()[0]).toEqual(['x', 'y']);
    await again.runtime.applyJobs([]);
    expect(again.left()).toEqual([[], []]);
  });
});
