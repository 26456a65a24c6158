/** One agent per data directory, whoever died and whoever races. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemRandom } from '@runnel/shared/random.ts';
import {
  liveHolder,
  lockDataDir,
  type LockHolder,
} from '@runnel/agent/checkpoints/data-dir-lock.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { bundle } from './verify-entry.ts';

interface Taker {
  readonly child: ChildProcess;
  lines(): string[];
  say(line: string): void;
  exited: Promise<void>;
}

async function startTaker(dir: string): Promise<Taker> {
  const entry = await (worker ??= bundle('test/agent/checkpoints/lock-worker.ts', 'lock-worker'));
  const child = spawn(process.execPath, [entry, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines = (): string[] => text.split('\n').slice(0, -1);
  await waitFor('the taker', () => lines()[0] === 'ready');
  return { child, lines, say: (line) => child.stdin.write(`${line}\n`), exited };
}
let worker: Promise<string> | undefined;

const lockPath = (dir: string): string => join(dir, 'agent.lock');
const readLock = (dir: string): LockHolder =>
  JSON.parse(readFileSync(lockPath(dir), 'utf8')) as LockHolder;

function leave(dir: string, holder: Partial<LockHolder>): void {
  const lock = { v: 1, pid: 999_999, start: '1', boot: 'b', nonce: 'nonce-of-the-dead', ...holder };
  writeFileSync(lockPath(dir), JSON.stringify(lock));
}

/** Everything that a race could leave behind is gone but the lock itself. */
const leftovers = (dir: string): string[] =>
  readdirSync(dir).filter((name) => name.startsWith('agent.lock.'));

describe('the lock of a data directory', () => {
  it.each([
    ['that nobody holds', false, 'fresh'],
    ['of a process that died', true, '999999'],
  ])(
    '%s goes to exactly one of many that race for it',
    async (_, stale, from) => {
      for (let round = 0; round < 3; round++) {
        const dir = tempDir('lock');
        if (stale) leave(dir, {});
        const takers = await Promise.all(Array.from({ length: 6 }, () => startTaker(dir)));
        for (const taker of takers) taker.say('go');
        await waitFor('all to say', () => takers.every((taker) => taker.lines().length === 2));
        const said = takers.map((taker) => taker.lines()[1] ?? '').toSorted();
        expect(said).toEqual([...Array<string>(5).fill('data_dir_locked'), `held ${from}`]);
        const winner = takers.find((taker) => taker.lines()[1]?.startsWith('held'));
        expect(readLock(dir).pid).toBe(winner?.child.pid);
        expect(liveHolder(dir)?.pid).toBe(winner?.child.pid);
        winner?.say('release');
        await winner?.exited;
        expect(existsSync(lockPath(dir))).toBe(false);
        expect(leftovers(dir)).toEqual([]);
      }
    },
    60_000,
  );

  it('of a killed process is taken over, and says whose it was', async () => {
    const dir = tempDir('lock');
    const taker = await startTaker(dir);
    taker.say('go');
    await waitFor('it', () => taker.lines().length === 2);
    expect(() => lockDataDir(dir, systemRandom)).toThrow(`process ${taker.child.pid}`);
    taker.child.kill('SIGKILL');
    await taker.exited;
    const lock = lockDataDir(dir, systemRandom);
    expect(lock.takenOver?.pid).toBe(taker.child.pid);
    lock.release();
    const clean = lockDataDir(dir, systemRandom);
    expect(clean.takenOver).toBeUndefined();
    clean.release();
  });

  it('is not kept by a process that got the id of a dead one, nor by one before a reboot', () => {
    const dir = tempDir('lock');
    const mine = lockDataDir(dir, systemRandom);
    const real = readLock(dir);
    mine.release();
    for (const changed of [{ start: '1' }, { boot: 'before the reboot' }]) {
      leave(dir, { ...real, ...changed });
      expect(liveHolder(dir)).toBeUndefined();
      const lock = lockDataDir(dir, systemRandom);
      expect(lock.takenOver).toMatchObject(changed);
      lock.release();
    }
    leave(dir, real);
    expect(() => lockDataDir(dir, systemRandom)).toThrow(/already runs/);
  });

  it('stays unclean for the next when this one could not look at the store', () => {
    const dir = tempDir('lock');
    leave(dir, {});
    lockDataDir(dir, systemRandom).release('unclean');
    const lock = lockDataDir(dir, systemRandom);
    expect(lock.takenOver?.pid).toBe(999_999);
    lock.release();
    lockDataDir(dir, systemRandom).release('unclean');
    expect(existsSync(lockPath(dir))).toBe(false);
  });

  it('is not released by somebody else, and a foreign file is not removed', () => {
    const dir = tempDir('lock');
    const lock = lockDataDir(dir, systemRandom);
    leave(dir, {});
    lock.release();
    expect(readLock(dir).pid).toBe(999_999);
    writeFileSync(lockPath(dir), 'my notes');
    expect(() => lockDataDir(dir, systemRandom)).toThrow(/is not a lock of this agent/);
    expect(readFileSync(lockPath(dir), 'utf8')).toBe('my notes');
  });
});
