/**
 * One agent per data directory. The lock is a file `agent.lock` that names its holder by process
 * id, start time and boot; Node has no flock.
 *
 * Taking it is one `link` of a file that is written and flushed before, so the lock is never seen
 * half written. A lock whose holder is dead is taken over: whoever wants to replace it first takes
 * a lock named after that very lock (its nonce), then reads it again, then renames over it. So no
 * lock that someone took meanwhile can be replaced, and a taker that dies is taken over likewise.
 *
 * A lock left by a dead holder also says that the last stop was unclean (recover-store.ts).
 * `status` only reads it. Refuses: a live holder, as `data_dir_locked`.
 */
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { Random } from '@runnel/shared/random.ts';

const holder = z.object({
  v: z.literal(1),
  pid: z.number().int().positive(),
  /** Clock ticks since boot at which the process started; empty where the system does not tell. */
  start: z.string(),
  boot: z.string(),
  nonce: z.string(),
});
export type LockHolder = z.infer<typeof holder>;

export interface DataDirLock {
  /** The holder that died without releasing, when there was one: the last stop was unclean. */
  readonly takenOver: LockHolder | undefined;
  /** With `unclean` the next holder finds what this one has found: a dead holder, if there was. */
  release(how?: 'unclean'): void;
}

const FILE = 'agent.lock';
/** Each round means that another process won a race; more than this is a broken file system. */
const ROUNDS_MAX = 50;

export function lockDataDir(dir: string, random: Random): DataDirLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, FILE);
  const me = myself(random);
  const takenOver = take(path, me, dir);
  syncDir(dir);
  return {
    takenOver,
    release(how) {
      if (readHolder(path)?.nonce !== me.nonce) return;
      if (how === 'unclean' && takenOver !== undefined) {
        const temporary = `${path}.${me.nonce}`;
        writeFlushed(temporary, JSON.stringify(takenOver));
        renameSync(temporary, path);
      } else {
        unlinkSync(path);
      }
      syncDir(dir);
    },
  };
}

/** Who runs on this directory now; undefined when nobody does. */
export function liveHolder(dir: string): LockHolder | undefined {
  const found = readHolder(join(dir, FILE));
  return found !== undefined && isAlive(found) ? found : undefined;
}

function take(path: string, me: LockHolder, dir: string): LockHolder | undefined {
  const temporary = `${path}.${me.nonce}`;
  try {
    return takeWith(temporary, path, me, dir);
  } finally {
    // Whoever loses, here or in the race to replace a dead holder, leaves nothing behind.
    rmSync(temporary, { force: true });
  }
}

function takeWith(
  temporary: string,
  path: string,
  me: LockHolder,
  dir: string,
): LockHolder | undefined {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    writeFlushed(temporary, JSON.stringify(me));
    if (tryLink(temporary, path)) return undefined;
    const found = readHolder(path);
    if (found === undefined) continue;
    if (isAlive(found)) throw locked(dir, found);
    if (replace(path, temporary, found, me, dir)) return found;
  }
  throw new RunnelError('data_dir_lock_failed', `could not take ${path}`, {
    hint: 'The file system may not support hard links; use a local directory.',
  });
}

/** Puts `temporary` in the place of the dead `found`, unless somebody else did so first. */
function replace(
  path: string,
  temporary: string,
  found: LockHolder,
  me: LockHolder,
  dir: string,
): boolean {
  const claim = `${path}.take-${found.nonce.slice(0, 12)}`;
  take(claim, { ...me, nonce: `${me.nonce}c` }, dir);
  try {
    if (readHolder(path)?.nonce !== found.nonce) return false;
    renameSync(temporary, path);
    return true;
  } finally {
    unlinkSync(claim);
  }
}

function locked(dir: string, by: LockHolder): RunnelError {
  return new RunnelError('data_dir_locked', `an agent (process ${by.pid}) already runs on ${dir}`, {
    fields: { pid: by.pid },
    hint: 'Stop that process, or use another --data directory.',
  });
}

/** A file that cannot be parsed is no lock: it was never linked by us, and is removed. */
function readHolder(path: string): LockHolder | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return holder.parse(JSON.parse(text));
  } catch (error) {
    if (text.trim() !== '') {
      throw new RunnelError('data_dir_lock_unreadable', `${path} is not a lock of this agent`, {
        cause: error,
        hint: 'When no agent runs on this directory, remove the file.',
      });
    }
    unlinkSync(path);
    return undefined;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function writeFlushed(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncDir(dir: string): void {
  const file = openSync(dir, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function myself(random: Random): LockHolder {
  const { pid } = process;
  return { v: 1, pid, start: startOf(pid), boot: bootId(), nonce: randomId(random, 16) };
}

function isAlive(found: LockHolder): boolean {
  if (found.boot !== bootId()) return false;
  try {
    process.kill(found.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // The id may have been given to another process since.
  return startOf(found.pid) === found.start;
}

/** Field 22 of `/proc/<pid>/stat`, counted after the name, which may hold spaces. */
function startOf(pid: number): string {
  const stat = readOr(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function bootId(): string {
  return readOr('/proc/sys/kernel/random/boot_id').trim();
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Systems without /proc, and processes that ended meanwhile.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return '';
    throw error;
  }
}
