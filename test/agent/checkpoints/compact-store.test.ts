/** Compaction: the same data in a smaller file, whatever happens meanwhile. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import {
  openCheckpointStore,
  type ReplaceableStore,
} from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { COMPACT_STEPS, StoreCompaction } from '@runnel/agent/checkpoints/compact-store.ts';
import { openStore } from '@runnel/agent/checkpoints/recover-store.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { bundle, verifyEntry } from './verify-entry.ts';

const NEVER = new AbortController().signal;
const VALUES = 600;
const KEPT_EVERY = 10;

function open(dataDir: string): ReplaceableStore {
  return openCheckpointStore({
    dir: join(dataDir, 'store'),
    bytesMax: 1 << 30,
    monotonicMs: () => systemClock.monotonicMs(),
  });
}

/** Many values of which few are left: most of the file is free pages. */
async function fill(store: ReplaceableStore): Promise<void> {
  await store.commit((tx) => {
    for (let n = 1; n <= VALUES; n += 1) tx.put('batch', ['job', n], Buffer.alloc(8000, n % 251));
    tx.put('meta', ['format'], Buffer.from([1, 0x80]));
  });
  await store.commit((tx) => {
    for (let n = 1; n <= VALUES; n += 1) if (n % KEPT_EVERY > 0) tx.remove('batch', ['job', n]);
  });
}

function contents(store: ReplaceableStore): string[] {
  return [...store.range('batch', {})].map(({ key, value }) => `${String(key)}=${value[0]}`);
}

function compaction(store: ReplaceableStore, dataDir: string, entry: string): StoreCompaction {
  const exclusive = <T>(change: () => Promise<T>): Promise<T> => change();
  return new StoreCompaction({ store, dataDir, clock: systemClock, verifyEntry: entry, exclusive });
}

/** Verifies nothing, and ends when it is let: `started` gives its pid. */
function heldVerify(dataDir: string): {
  readonly entry: string;
  readonly started: () => number | undefined;
  readonly release: () => void;
} {
  const [entry, told, go] = ['verify.mjs', 'verifying', 'go'].map((name) => join(dataDir, name));
  writeFileSync(
    entry!,
    `import { existsSync, rmSync, writeFileSync } from 'node:fs';
    writeFileSync(${JSON.stringify(told)}, String(process.pid));
    const look = setInterval(() => {
      if (!existsSync(${JSON.stringify(go)})) return;
      rmSync(${JSON.stringify(go)});
      clearInterval(look);
    }, 5);`,
  );
  return {
    entry: entry!,
    started: () => (existsSync(told!) ? Number(readFileSync(told!, 'utf8')) : undefined),
    release: () => writeFileSync(go!, ''),
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const EXPECTED = Array.from({ length: VALUES / KEPT_EVERY }, (_, at) => {
  const n = (at + 1) * KEPT_EVERY;
  return `job,${n}=${n % 251}`;
});

describe('compacting a store', () => {
  it('gives the free pages back, keeps every value, and can be done again', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    onTestFinished(() => store.close());
    await fill(store);
    const care = compaction(store, dataDir, await verifyEntry());
    const { fileBytes, usedBytes } = care.usage();
    expect(usedBytes).toBeLessThan(fileBytes / 4);

    const { bytesBefore, bytesAfter } = await care.compact(NEVER);
    expect(bytesBefore).toBe(fileBytes);
    expect(bytesAfter).toBeLessThan(fileBytes / 4);
    expect(statSync(join(dataDir, 'store', 'data.mdb')).size).toBe(bytesAfter);
    expect(contents(store)).toEqual(EXPECTED);

    await store.commit((tx) => tx.put('batch', ['job', 9999], Buffer.from([7])));
    await care.compact(NEVER);
    expect(contents(store)).toEqual([...EXPECTED, 'job,9999=7']);
    expect(readdirSync(dataDir)).toEqual(['store']);

    await store.close();
    const again = open(dataDir);
    onTestFinished(() => again.close());
    expect(contents(again)).toEqual([...EXPECTED, 'job,9999=7']);
  }, 30_000);

  it('lets who reads a range read it to its end', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    await fill(store);
    const reading = store.range('batch', {})[Symbol.iterator]();
    const abandoned = store.keys('batch', {})[Symbol.iterator]();
    const read = [reading.next(), abandoned.next()];
    await compaction(store, dataDir, await verifyEntry()).compact(NEVER);
    await store.commit((tx) => tx.remove('batch', ['job', 20]));
    let values = 1;
    while (reading.next().done !== true) values += 1;
    abandoned.return?.();
    expect([read.length, values]).toEqual([2, EXPECTED.length]);
    await store.close();
  }, 30_000);

  it('whose copy is damaged leaves the store as it was', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    onTestFinished(() => store.close());
    await fill(store);
    const refuse = join(dataDir, 'refuse.mjs');
    writeFileSync(refuse, "console.error('block 7 has another checksum'); process.exitCode = 3;\n");
    const attempt = compaction(store, dataDir, refuse).compact(NEVER);
    await expect(attempt).rejects.toMatchObject({
      code: 'compact_damaged',
      message: expect.stringContaining('block 7') as string,
    });
    expect(contents(store)).toEqual(EXPECTED);
    expect(readdirSync(dataDir).toSorted()).toEqual(['refuse.mjs', 'store']);
    await store.commit((tx) => tx.remove('batch', ['job', 10]));
    expect(contents(store)).toEqual(EXPECTED.slice(1));
  }, 30_000);

  it('that cannot put the copy in its place goes on with the store', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    onTestFinished(() => store.close());
    await fill(store);
    const care = new StoreCompaction({
      store,
      dataDir,
      clock: systemClock,
      verifyEntry: await verifyEntry(),
      exclusive: (change) => change(),
      onStep: (step) => {
        if (step === 'renamed') throw new Error('the directory cannot be synced');
      },
    });
    await expect(care.compact(NEVER)).rejects.toThrow('cannot be synced');
    expect(readdirSync(dataDir)).toEqual(['store']);
    await store.commit((tx) => tx.remove('batch', ['job', 10]));
    await store.close();
    const again = open(dataDir);
    onTestFinished(() => again.close());
    expect(contents(again)).toEqual(EXPECTED.slice(1));
  }, 30_000);
});

describe('while a store is compacted', () => {
  it('commits are made, and are in the copy: what was put, changed and removed', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    await fill(store);
    const { entry, started, release } = heldVerify(dataDir);
    const compacted = compaction(store, dataDir, entry).compact(NEVER);
    await waitFor('the copy to be verified', started);
    const binary = Buffer.from([0, 0xff, 0x80]);
    for (let n = 1; n <= 2500; n += 1) {
      await store.commit((tx) => {
        tx.put('batch', ['job', n * KEPT_EVERY], Buffer.alloc(10, n % 200));
        if (n <= 50) tx.remove('batch', ['job', (n + 50) * KEPT_EVERY]);
        tx.put('state', binary, Buffer.from([n % 250]));
        tx.put('outbox', n, Buffer.from([1]));
      });
    }
    const before = contents(store);
    release();
    const { heldMs } = await compacted;
    expect(heldMs).toBeLessThan(2000);
    expect(contents(store)).toEqual(before);
    await store.close();
    const again = open(dataDir);
    onTestFinished(() => again.close());
    expect(contents(again)).toEqual(before);
    expect(again.get('state', binary)).toEqual(Buffer.from([0]));
    expect([...again.keys('outbox', {})]).toHaveLength(2500);
    expect(readdirSync(dataDir).toSorted()).toEqual(['store', 'verify.mjs', 'verifying']);
  }, 60_000);

  it('more changes than can be followed end it as busy', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    onTestFinished(() => store.close());
    await fill(store);
    const { entry, started, release } = heldVerify(dataDir);
    const compacted = compaction(store, dataDir, entry).compact(NEVER);
    const refused = expect(compacted).rejects.toMatchObject({
      code: 'compact_busy',
      hint: 'Schedule it when less comes in.',
    });
    await waitFor('the copy to be verified', started);
    for (let part = 0; part < 3; part += 1) {
      await store.commit((tx) => {
        for (let n = 0; n < 70_000; n += 1) tx.put('outbox', part * 70_000 + n, Buffer.from([1]));
      });
    }
    release();
    await refused;
    expect(contents(store)).toEqual(EXPECTED);
    expect(readdirSync(dataDir)).not.toContain('store.compact');
  }, 60_000);

  it('the signal ends it with its reason, the process that reads the copy too', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    await fill(store);
    const { entry, started } = heldVerify(dataDir);
    const control = new AbortController();
    const care = compaction(store, dataDir, entry);
    const compacted = care.compact(control.signal);
    const ended = expect(compacted).rejects.toThrow('it took too long');
    const pid = await waitFor('the copy to be verified', started);
    control.abort(new Error('it took too long'));
    await ended;
    await waitFor('the process to end', () => !isAlive(pid));
    await waitFor('the copy to go', () => !existsSync(join(dataDir, 'store.compact')));
    await store.commit((tx) => tx.remove('batch', ['job', 10]));
    expect(contents(store)).toEqual(EXPECTED.slice(1));
    await expect(care.compact(control.signal)).rejects.toThrow('it took too long');
    await compaction(store, dataDir, await verifyEntry()).compact(NEVER);
    expect(contents(store)).toEqual(EXPECTED.slice(1));
    await store.close();
  }, 30_000);

  it('another one waits for its turn', async () => {
    const dataDir = tempDir('compact');
    const store = open(dataDir);
    await fill(store);
    const care = compaction(store, dataDir, await verifyEntry());
    const [first, second] = await Promise.all([care.compact(NEVER), care.compact(NEVER)]);
    expect(second.bytesBefore).toBe(first.bytesAfter);
    expect(contents(store)).toEqual(EXPECTED);
    await store.close();
  }, 30_000);
});

describe('a process that is killed while it compacts', () => {
  for (const step of COMPACT_STEPS) {
    it(`leaves one whole store: ${step}`, async () => {
      const entry = await bundle('test/agent/checkpoints/compact-worker.ts', 'compact-worker');
      const dataDir = tempDir('compact');
      mkdirSync(join(dataDir, 'store'));
      const store = open(dataDir);
      await fill(store);
      await store.close();
      const { signal } = spawnSync(process.execPath, [entry, dataDir, await verifyEntry(), step], {
        stdio: 'inherit',
      });
      expect(signal).toBe('SIGKILL');

      const opened = await openStore({
        dataDir,
        bytesMax: 1 << 30,
        clock: systemClock,
        unclean: true,
        verifyEntry: await verifyEntry(),
      });
      onTestFinished(() => opened.store.close());
      expect(opened.recovered).toBeUndefined();
      expect(contents(opened.store)).toEqual(EXPECTED);
      expect(readdirSync(dataDir)).toEqual(['store']);
      await opened.store.commit((tx) => tx.put('batch', ['job', 1], Buffer.from([1])));
      expect(existsSync(join(dataDir, 'store', 'data.mdb'))).toBe(true);
    }, 30_000);
  }
});
