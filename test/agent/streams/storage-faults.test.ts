/** A store that cannot be written loses nothing that was acknowledged, and recovers by itself. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { storeAround } from '../../support/store-around.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { desired } from './counting-job.ts';
import { openSite } from './site.ts';

/** A disk that fails while `failing` is set; everything else is the real store. */
function faulty(store: CheckpointStore, disk: { failing: boolean }): CheckpointStore {
  return storeAround(store, async (write) => {
    if (!disk.failing) return await store.commit(write);
    write({ put: () => undefined, remove: () => undefined });
    throw new RunnelError('storage_write_failed', 'the disk does not answer');
  });
}

describe('a commit that fails', () => {
  it('is forgotten wholly: the origin gives again, and the rows are those of one run', async () => {
    const disk = { failing: false };
    const site = await openSite({ wrapStore: (store) => faulty(store, disk) });
    await site.runtime.applyJobs([desired('a')]);
    site.source().give({ payload: { v: 1 } });
    await site.settled();
    disk.failing = true;
    site.source().give({ payload: { v: 2 } }, { payload: { v: 4 } });
    await waitFor('the failure', () => site.conditions.list()[0]?.reason === 'WriteFailed');
    expect(site.source().acknowledged).toBe(1);
    disk.failing = false;
    await site.settled();
    await waitFor('the end of the condition', () => site.conditions.list().length === 0);
    expect((await site.take()).map(({ seq, value }) => [seq, value])).toEqual([
      [1, { n: 1, sum: 1 }],
      [2, { n: 2, sum: 3 }],
      [3, { n: 3, sum: 7 }],
    ]);
    expect(site.source().discards).toBeGreaterThan(0);
    expect(site.runtime.jobReports()).toMatchObject([{ recordsIn: 3, phase: 'running' }]);
  });

  it('beyond the disk budget says Full, makes room in the journal and goes on', async () => {
    const site = await openSite({ budgets: { storeBytesMax: 1_500_000 } });
    await site.runtime.applyJobs([desired('a')]);
    const reasons = new Set<string>();
    site.conditions.onChange(({ reason }) => reasons.add(reason));
    const pad = 'x'.repeat(2000);
    for (let v = 0; v < 1500; v++) {
      site.source().give({ payload: { v: 1, pad } });
      if (v % 100 === 99) {
        await waitFor('room', () => site.source().acknowledged > v, 20_000);
        await site.take();
      }
    }
    expect(reasons).toContain('Full');
    await waitFor('the end of the condition', () => site.conditions.list().length === 0);
    expect(site.runtime.jobReports()).toMatchObject([{ recordsIn: 1500 }]);
    expect(site.runtime.counters()['store_bytes']).toBeLessThan(3_000_000);
  });

  it.runIf(process.getuid?.() === 0)(
    'on a full disk is survived, and the agent goes on when there is room',
    async () => {
      const mount = tempDir('tmpfs');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', mount]);
      onTestFinished(() => {
        execFileSync('umount', ['-l', mount]);
      });
      const dataDir = join(mount, 'data');
      mkdirSync(dataDir);
      const ballast = join(mount, 'ballast');
      writeFileSync(ballast, Buffer.alloc(5_200_000));
      const site = await openSite({ dataDir });
      await site.runtime.applyJobs([desired('a')]);
      const pad = 'x'.repeat(3000);
      for (let v = 0; v < 400; v++) site.source().give({ payload: { v: 1, pad } });
      await waitFor('the disk to be full', () => site.conditions.list()[0]?.type === 'storage');
      rmSync(ballast);
      await site.settled();
      await waitFor('the rows', () => site.runtime.outbox.depth().rows === 400);
      const rows = await site.take();
      expect(rows.at(-1)?.value).toEqual({ n: 400, sum: 400 });
      expect(rows).toHaveLength(400);
      await site.close();
    },
    60_000,
  );
});

describe('a damaged store', () => {
  it('is set aside after an unclean stop, and a new one begins', async () => {
    const first = await openSite();
    await first.runtime.applyJobs([desired('a')]);
    for (let v = 0; v < 300; v++) first.source().give({ payload: { v } });
    await first.settled();
    await first.close();
    truncateSync(join(first.dataDir, 'store/data.mdb'), 20_000);
    // What a process that was killed leaves behind.
    const dead = { v: 1, pid: 999_999, start: '1', boot: 'another', nonce: 'abcdefghabcdefgh' };
    writeFileSync(join(first.dataDir, 'agent.lock'), JSON.stringify(dead));
    const again = await openSite({ dataDir: first.dataDir });
    expect(again.conditions.list()).toMatchObject([{ reason: 'Recovered', axis: 'storage' }]);
    await again.runtime.applyJobs([desired('a')]);
    again.source().give({ payload: { v: 1 } });
    await again.settled();
    expect((await again.take()).map(({ value }) => value)).toEqual([{ n: 1, sum: 1 }]);
  });

  it('does not stop a second agent from being refused', async () => {
    const first = await openSite();
    await expect(openSite({ dataDir: first.dataDir })).rejects.toThrow(
      new RegExp(`process ${process.pid}`),
    );
  });
});
