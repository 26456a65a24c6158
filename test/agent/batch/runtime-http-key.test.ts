/** Keys of what goes out over HTTP, over reruns of the whole runtime. */
import { describe, expect, it } from 'vitest';
import { httpServer } from '../../support/http-server.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

const ASK = { action: 'run', job: 'job', partition: null, parameters: {} } as const;

/** A job that reads rows and sends them on, whatever `task` is. */
async function sending(task: (url: string) => string) {
  const state = { rows: [{ n: 1 }], cut: 0 };
  const keys: unknown[] = [];
  const server = await httpServer(({ method, headers }) => {
    if (method === 'GET') return { body: state.rows };
    keys.push(headers['idempotency-key']);
    if (state.cut === 0) return { body: [] };
    state.cut -= 1;
    return { cut: true };
  });
  const site = await openBatchSite();
  const retry = 'retry: { attempts: 2, backoff: { initial: 10ms } }';
  await site.runtime.applyJobs([
    desiredJob(
      'job',
      `tasks:
  - { id: rows, extract: { http: { url: "${server.url}" } } }
  - { id: send, needs: [rows], ${retry}, ${task(server.url)} }`,
    ),
  ]);
  const { runs } = await site.command({ ...ASK, fullRefresh: false });
  const run = runs[0]!.run;
  await site.ended(run);
  let tries = 1;
  return {
    site,
    state,
    keys,
    rerun: async (from: string, ends = 'success') => {
      tries += 1;
      await site.command({ action: 'rerun', run, from, fullRefresh: false });
      await expect.poll(async () => (await site.ended(run)).tries).toBe(tries);
      expect((await site.ended(run)).state).toBe(ends);
    },
  };
}

describe.each([
  [
    'http',
    (url: string) => `http: { url: "${url}", method: POST, body: "{{ tasks.rows.output.rows }}" }`,
  ],
  ['load', (url: string) => `load: { input: rows, http: { url: "${url}" } }`],
])('the key of a task %s', (_kind, task) => {
  it('stays while what is sent is the same, and is a new one when it is not', async () => {
    const { keys, rerun, state } = await sending(task);
    await rerun('send');
    await rerun('rows');
    expect(keys).toEqual([keys[0], keys[0], keys[0]]);
    state.rows = [{ n: 2 }];
    await rerun('rows');
    await rerun('send');
    expect(keys[3]).not.toBe(keys[0]);
    expect(keys[4]).toBe(keys[3]);
    // Back to the first: the receiver has the second now.
    state.rows = [{ n: 1 }];
    await rerun('rows');
    expect(new Set(keys).size).toBe(3);
  });

  it('is a new one when what failed was mended: some of it may have been taken', async () => {
    const { keys, rerun, state } = await sending(task);
    state.rows = [{ n: 2 }];
    state.cut = 2;
    await rerun('rows', 'failed');
    state.rows = [{ n: 3 }];
    await rerun('rows');
    expect(keys).toHaveLength(4);
    expect(keys[2]).toBe(keys[1]);
    expect(new Set(keys).size).toBe(3);
  });

  it('is repeated by an attempt after one whose answer was lost', async () => {
    const { keys, rerun, state } = await sending(task);
    state.rows = [{ n: 2 }];
    state.cut = 1;
    await rerun('rows');
    expect(keys).toHaveLength(3);
    expect(keys[1]).not.toBe(keys[0]);
    expect(keys[2]).toBe(keys[1]);
  });
});
