/** SIGKILL at any instant: nothing acknowledged is lost, nothing counts twice (I1, I2). */
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '@runnel/shared/random.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { bundle, verifyEntry } from '../checkpoints/verify-entry.ts';
import { desired } from './counting-job.ts';
import { openSite } from './site.ts';

/** Runs until it has printed `lines` acknowledgements, and `ms` more; then kills it. */
async function runAndKill(entry: string, dataDir: string, lines: number): Promise<number> {
  const child = spawn(process.execPath, [entry, dataDir, await verifyEntry()], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    if (text.split('\n').length > lines) child.kill('SIGKILL');
  });
  const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)));
  expect(signal).toBe('SIGKILL');
  return Number(text.split('\n').at(-2));
}

describe('a killed agent', () => {
  it('has on disk all that it acknowledged, once', async () => {
    const random = seededRandom(7);
    const entry = await bundle('test/agent/streams/crash-worker.ts', 'crash-worker');
    const dataDir = tempDir('crash');
    let acknowledged = 0;
    for (let round = 0; round < 6; round++) {
      acknowledged = await runAndKill(entry, dataDir, 1 + Math.floor(random.next() * 12));
    }
    const site = await openSite({ dataDir });
    await site.runtime.applyJobs([desired('a')]);
    const rows = await site.take();
    const epochs = new Set(rows.map(({ epoch }) => epoch));
    expect(epochs.size).toBeGreaterThan(1);
    expect(rows.length).toBeGreaterThanOrEqual(acknowledged);
    let sum = 0;
    for (const [at, row] of rows.entries()) {
      sum += at;
      expect(row.value).toEqual({ n: at + 1, sum });
    }
    expect(site.runtime.jobReports()).toMatchObject([{ recordsIn: rows.length, lagRecords: 0 }]);
    expect(site.source().acknowledged).toBe(rows.length);
  }, 60_000);
});
