/** The task `compact`: over a real store, while records come in. */
import { describe, expect, it } from 'vitest';
import { RunnelError } from '@runnel/shared/errors.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { StoreCompaction } from '@runnel/agent/checkpoints/compact-store.ts';
import type { ReplaceableStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import type { TaskServices } from '@runnel/agent/batch/tasks/task-services.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import { type TaskSite, taskSite } from '../../../support/task-context.ts';
import { verifyEntry } from '../../checkpoints/verify-entry.ts';

const JOB = { tasks: [{ id: 'task', compact: { freeMin: '64KiB' } }] };

/** The site's own store, most of which is free. */
async function care(site: TaskSite): Promise<TaskServices['store']> {
  await site.store.commit((tx) => {
    for (let n = 0; n < 200; n += 1) tx.put('batch', ['job', n], Buffer.alloc(8000, n));
  });
  await site.store.commit((tx) => {
    for (let n = 1; n < 200; n += 1) tx.remove('batch', ['job', n]);
  });
  return new StoreCompaction({
    store: site.store as ReplaceableStore,
    dataDir: site.dataDir,
    clock: systemClock,
    verifyEntry: await verifyEntry(),
    exclusive: (change) => change(),
  });
}

taskContract({
  kind: 'compact',
  setup: async (site) => {
    const store = await care(site);
    // What is there to gain differs between two attempts; that nothing is lost does not.
    const steady = {
      usage: () => store.usage(),
      compact: async (signal: AbortSignal) => ({
        ...(await store.compact(signal)),
        bytesBefore: 0,
      }),
    };
    await store.compact(new AbortController().signal);
    const program = site.program({ tasks: [{ id: 'task', compact: { freeMin: '0B' } }] });
    return { program, task: 'task', options: { services: { store: steady } }, effects: null };
  },
});

describe('a compaction', () => {
  it('makes the file smaller, once there is enough to gain', async () => {
    const site = taskSite();
    const store = await care(site);
    const program = site.program(JOB);
    const { success } = await site.attempt(program, 'task', { services: { store } });
    const output = success.output as { bytesBefore: number; bytesAfter: number };
    expect(output).toMatchObject({ compacted: true });
    expect(output.bytesAfter).toBeLessThan(output.bytesBefore / 3);
    const again = await site.attempt(program, 'task', { services: { store } });
    expect(again.success.output).toEqual({
      compacted: false,
      bytesBefore: output.bytesAfter,
      bytesAfter: output.bytesAfter,
    });
    expect([...site.store.keys('batch', {})]).toEqual([['job', 0]]);
  });

  it('without room fails as a matter of resources', async () => {
    const site = taskSite();
    const store = {
      usage: () => ({ fileBytes: 1e9, usedBytes: 0 }),
      compact: () => Promise.reject(new RunnelError('compact_no_room', 'the disk is full')),
    };
    const error = await site.failure(site.program(JOB), 'task', { services: { store } });
    expect(error).toMatchObject({ class: 'resources', code: 'compact_no_room' });
  });
});
