/** A version that takes the process down cannot be caught; the starts after it count (I10). */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { bundle, verifyEntry } from '../checkpoints/verify-entry.ts';
import { desired } from './counting-job.ts';
import { openSite, type Site } from './site.ts';

const report = (site: Site) => site.runtime.jobReports()[0];

/** As a killed process leaves it. */
function leaveDeadLock(dataDir: string): void {
  const dead = { v: 1, pid: 999_999, start: '1', boot: 'another', nonce: 'abcdefghabcdefgh' };
  writeFileSync(join(dataDir, 'agent.lock'), JSON.stringify(dead));
}

describe('a version under which the process dies', () => {
  it('gives way to the one before at the fourth start, with the reason', async () => {
    const entry = await bundle('test/agent/streams/deadly-worker.ts', 'deadly-worker');
    const verify = await verifyEntry();
    const before = await openSite();
    await before.runtime.applyJobs([desired('a', 1)]);
    before.source().give({ payload: { v: 1 } });
    await before.settled();
    await before.close();
    for (let life = 1; life <= 3; life++) {
      const child = spawn(process.execPath, [entry, before.dataDir, verify], { stdio: 'inherit' });
      const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)));
      expect(signal, `life ${life}`).toBe('SIGKILL');
    }
    const after = await openSite({
      dataDir: before.dataDir,
      prepare: (source) => source.give({ payload: { v: 1 } }, { payload: { v: 2 } }),
    });
    await after.runtime.applyJobs([desired('a', 2, { broken: 'process' })]);
    await waitFor('the version before', () => report(after)?.phase === 'running');
    expect(report(after)).toMatchObject({
      version: 1,
      attempted: { version: 2, phase: 'failed', reason: expect.stringContaining('died 3 times') },
    });
    await after.settled();
    expect((await after.take()).map(({ version, value }) => [version, value])).toEqual([
      [1, { n: 1, sum: 1 }],
      [1, { n: 2, sum: 3 }],
    ]);
  }, 60_000);

  it('is not blamed for clean stops, nor for deaths before it came', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a', 1)]);
    let { dataDir } = site;
    await site.close();
    for (let life = 0; life < 4; life++) {
      leaveDeadLock(dataDir);
      const next = await openSite({ dataDir });
      await next.runtime.applyJobs([desired('a', 1)]);
      ({ dataDir } = next);
      await next.close();
    }
    for (let life = 0; life < 5; life++) {
      if (life === 1 || life === 3) leaveDeadLock(dataDir);
      const next = await openSite({ dataDir });
      await next.runtime.applyJobs([desired('a', 2)]);
      expect(report(next)).toMatchObject({ version: 2, attempted: null });
      await next.close();
    }
  });
});
