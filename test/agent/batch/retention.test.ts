/** What goes when there is too much of it: logs of all runs together, completions of a job. */
import { existsSync, mkdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BatchJobHost, BatchJobs } from '@runnel/agent/batch/runs/batch-jobs.ts';
import { BatchStore } from '@runnel/agent/batch/runs/batch-store.ts';
import { type BatchJobRecord, keys } from '@runnel/agent/batch/runs/job-record.ts';
import { Retention } from '@runnel/agent/batch/runs/retention.ts';
import { logPath } from '@runnel/agent/batch/runs/run-log.ts';
import { TableFiles } from '@runnel/agent/batch/tables/table-files.ts';
import { limits } from '@runnel/shared/limits.ts';
import { openTestStore } from '../outbox/open-test-store.ts';
import { tempDir } from '../../support/temp-dir.ts';

function open(bytesMax = Infinity) {
  const dataDir = tempDir('retention');
  const nothing = (): void => undefined;
  const disk = openTestStore(join(dataDir, 'store'));
  const store = new BatchStore({
    store: disk,
    row: nothing,
    deadLetter: nothing,
    wake: nothing,
    bytesMax,
  });
  const jobs = new BatchJobs({ store, now: () => 0, changed: nothing });
  const batchDir = join(dataDir, 'batch');
  const retention = new Retention(store, jobs, new TableFiles(dataDir));
  /** One commit of what is pending, as the commit cycle makes it. */
  const cycle = async (): Promise<void> => {
    await disk.commit((tx) => store.stage(tx));
    store.committed();
  };
  const write = async (put: Parameters<BatchStore['commit']>[0]): Promise<void> => {
    const committed = store.commit(put);
    await cycle();
    await committed;
  };
  onTestFinished(() => store.close());
  return { store, jobs, retention, batchDir, cycle, write };
}

const MiB = 1024 * 1024;

describe('logs of runs', () => {
  it('beyond the bound of all go oldest first, never those of runs that go on', async () => {
    const { retention, batchDir, write } = open();
    const count = limits.runLogsBytesMax / MiB + 4;
    const ids = Array.from({ length: count }, (_, n) => `run-${n}`);
    await write((tx) => {
      for (const id of ids) tx.put(keys.run(id), {});
    });
    const pathOf = (id: string): string => logPath(batchDir, id);
    mkdirSync(dirname(pathOf('x')), { recursive: true });
    for (const [n, id] of [...ids, 'unknown'].entries()) {
      writeFileSync(pathOf(id), '');
      // Nothing is written to the disk for it.
      truncateSync(pathOf(id), MiB);
      utimesSync(pathOf(id), n + 1000, n + 1000);
    }
    expect(await retention.trimLogs(batchDir, (run) => run === 'run-1')).toBe(4);
    const gone = [...ids, 'unknown'].filter((id) => !existsSync(pathOf(id)));
    expect(gone).toEqual(['run-0', 'run-2', 'run-3', 'run-4', 'unknown']);
    expect(await retention.trimLogs(batchDir, () => false)).toBe(0);
  });
});

describe('runs that have ended', () => {
  it('beyond their number go past one that goes on, which stays', async () => {
    const { store, jobs, retention, write } = open();
    const last = limits.batchRunsKeptMax + 5;
    const record = { name: 'job', firstRun: 1, nextRun: last + 1 } as BatchJobRecord;
    const host = new BatchJobHost(record, null);
    jobs.hosts.set('job', host);
    const now = Date.parse('2026-11-22T12:00:00Z');
    await write((tx) => {
      for (let n = 1; n <= last; n++) {
        const isOpen = n === 2;
        const endedAt = isOpen ? null : now - 1000;
        tx.put(keys.run(`r${n}`), { id: `r${n}`, job: 'job', n, version: 1, endedAt });
        tx.put(keys.numbered('job', n), `r${n}`);
        if (isOpen) tx.put(keys.open(`r${n}`), {});
      }
    });
    let gone: readonly string[] = [];
    await write((tx) => {
      gone = retention.trim(tx, host, now);
    });
    // One of all is open: four of the others are too many.
    expect(gone).toEqual(['r1', 'r3', 'r4', 'r5']);
    expect(host.record.firstRun).toBe(2);
    expect(retention.runsTrimmed).toBe(4);
    expect(store.keys(['runs', 'job'])).toHaveLength(limits.batchRunsKeptMax + 1);
    await write((tx) => {
      gone = retention.trim(tx, host, now + limits.batchRunsKeptMsMax);
    });
    expect(gone).toEqual(['r6', 'r7', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']);
    expect(store.has(keys.run('r2'))).toBe(true);
  });
});

describe('completed partitions', () => {
  it('beyond the bound of a job go by their time, with what was sent of them', async () => {
    const { store, retention, write } = open();
    const most = limits.batchPartitionsKeptMax;
    // Later names are earlier: a key, then the hour.
    const nameOf = (n: number): string => String(99_999 - n);
    await write((tx) => {
      for (let n = 0; n < most + 3; n++) {
        tx.put(keys.partition('job', nameOf(n)), { partition: { start: n, end: n + 1 } });
      }
      tx.put(keys.partition('other', nameOf(0)), { partition: { start: 0, end: 1 } });
      for (const n of [0, 5]) tx.put(keys.sent('job', nameOf(n), 't', null, 'sums'), {});
    });
    await write((tx) => retention.trimPartitions(tx, 'job'));
    const left = store.keys(['partition', 'job']);
    expect(left).toHaveLength(most);
    expect(left.at(-1)).toEqual(keys.partition('job', nameOf(3)));
    expect(retention.partitionsTrimmed).toBe(3);
    expect(store.keys(['partition', 'other'])).toHaveLength(1);
    expect(store.keys(['results'])).toEqual([keys.sent('job', nameOf(5), 't', null, 'sums')]);
    await write((tx) => retention.trimPartitions(tx, 'job'));
    expect(store.keys(['partition', 'job'])).toHaveLength(most);
  }, 30_000);
});

describe('more than one commit takes', () => {
  it('goes into several, but for what belongs to the rows of this one', async () => {
    const { store, cycle } = open();
    const much = 'x'.repeat(3 * MiB);
    const done: string[] = [];
    const put = (name: string, joins?: boolean): Promise<unknown> =>
      store.commit((tx) => tx.put(['job', name], much), joins).then(() => done.push(name));
    const alone = [put('a'), put('b')];
    await cycle();
    await alone[0];
    expect(done).toEqual(['a']);
    expect(store.isDirty).toBe(true);
    const joined = [put('c'), put('rows', true)];
    const behind = put('d');
    await cycle();
    await Promise.all(joined);
    expect(done).toEqual(['a', 'b', 'c', 'rows']);
    await cycle();
    await behind;
    expect(store.isDirty).toBe(false);
  });
});

describe('one write that is larger than a commit takes', () => {
  it('goes alone; one that is larger than any may be is refused, those behind it go', async () => {
    const { store, cycle } = open();
    const done: string[] = [];
    const put = (name: string, bytes: number): Promise<unknown> =>
      store.commit((tx) => tx.put(['job', name], 'x'.repeat(bytes))).then(() => done.push(name));
    const large = put('large', 2 * limits.batchCommitBytesMax);
    const endless = expect(put('endless', limits.batchWriteBytesMax)).rejects.toMatchObject({
      code: 'write_too_large',
      hint: expect.stringContaining('put out less') as unknown,
    });
    const behind = put('behind', 1);
    await endless;
    expect(store.has(['job', 'endless'])).toBe(false);
    await cycle();
    await large;
    expect(done).toEqual(['large']);
    await cycle();
    await behind;
    expect(store.isDirty).toBe(false);
  });
});

describe('writes for which the store has no room', () => {
  it('wait and keep nobody from it; what is dropped goes past them and lets them in', async () => {
    const { store, cycle, write } = open(40 * MiB);
    const much = 'x'.repeat(12 * MiB);
    for (const name of ['a', 'b', 'c']) await write((tx) => tx.put(['job', name], much));
    const told: boolean[] = [];
    store.attach({ waiting: (isWaiting) => told.push(isWaiting), relief: () => [] });
    const waits = store.commit((tx) => tx.put(['job', 'd'], much));
    await cycle();
    expect(told).toEqual([true]);
    expect(store.isDirty).toBe(false);
    const dropped = store.drop([['job', 'a']]);
    expect(store.has(['job', 'a'])).toBe(false);
    await cycle();
    await dropped;
    store.retry();
    expect(store.isDirty).toBe(true);
    await cycle();
    await waits;
    expect(store.keys(['job']).map((key) => key[1])).toEqual(['b', 'c', 'd']);
    expect(told).toEqual([true, false]);
  });
});

describe('a write that fails half way', () => {
  it('leaves nothing to be read or written, and what was pending before stays', async () => {
    const { store, write } = open();
    const before = store.commit((tx) => tx.put(['job', 'a'], 1));
    const failed = store.commit((tx) => {
      tx.put(['job', 'a'], 2);
      tx.put(['job', 'b'], 2);
      throw new Error('half way');
    });
    await expect(failed).rejects.toThrow('half way');
    expect(store.get(['job', 'a'])).toBe(1);
    expect(store.list(['job'])).toEqual([{ key: ['job', 'a'], value: 1 }]);
    await write((tx) => tx.put(['job', 'c'], 3));
    await before;
    expect(store.list(['job']).map(({ value }) => value)).toEqual([1, 3]);
  });
});
