/** What batch jobs may fill of the device, through the whole runtime. */
import { describe, expect, it } from 'vitest';
import type { TaskReport } from '@runnel/shared/protocol/runs.ts';
import { limits } from '@runnel/shared/limits.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';

const ASK = { action: 'run', parameters: {}, fullRefresh: false } as const;
const TEXT = 'x'.repeat(60_000);

/** A job that puts out `items` texts of 60,000 characters each. */
function texts(name: string, items: number, more = '') {
  const list = JSON.stringify(Array.from({ length: items }, (_, index) => index));
  return desiredJob(
    name,
    `${more}\ntasks: [{ id: each, forEach: ${list}, value: { value: "${TEXT}{{ item }}" } }]`,
  );
}

let asked = 0;

async function ask(site: BatchSite, job: string): Promise<string> {
  const n = ++asked;
  const partition = new Date(1_760_000_000_000 + n * 1000).toISOString();
  const { runs } = await site.command({ ...ASK, job, partition }, `ask-${n}`);
  return runs[0]!.run;
}

describe('outputs of one run', () => {
  it('beyond their bound together fail the attempt that would pass it, and say what helps', async () => {
    const site = await openBatchSite();
    await site.runtime.applyJobs([texts('big', 150)]);
    const run = await ask(site, 'big');
    expect(await site.ended(run)).toMatchObject({ state: 'failed' });
    const tasks = (await site.rows()).flatMap(({ kind, value }) =>
      kind === 'task' ? [value as TaskReport] : [],
    );
    const failed = tasks.filter(({ state, index }) => state === 'failed' && index !== null);
    expect(failed).toHaveLength(150 - Math.floor(limits.runOutputBytesMax / (TEXT.length + 5)));
    expect(failed[0]?.error).toMatchObject({ code: 'run_outputs_too_large', class: 'resources' });
    expect(failed[0]?.error?.message).toContain('put out less per item');
  });
});
