/**
 * Tells whether a process id still means the process that we started: ids are used again, so a
 * bare number must never be signalled. A process is known by its id and its start time: from
 * /proc (ticks since boot, with the boot's id), elsewhere from `ps`.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Clock } from '@runnel/shared/clock.ts';

/** When the process started, in a form that only compares equal to itself; undefined: not there. */
export async function startMark(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return await ps(pid, 'lstart=');
  const stat = await readOrNothing(`/proc/${pid}/stat`);
  const boot = await readOrNothing('/proc/sys/kernel/random/boot_id');
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses and may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie is dead: it only waits for its parent to take note.
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return `${boot?.trim() ?? ''}:${fields[19] ?? ''}`;
}

/** The arguments of a process joined by spaces; undefined when it is not there. */
export async function commandLine(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return await ps(pid, 'args=');
  const text = await readOrNothing(`/proc/${pid}/cmdline`);
  return text === undefined || text === '' ? undefined : text.replaceAll('\0', ' ').trim();
}

/** SIGTERM, and SIGKILL when it is still there after `graceMs`. Resolves when it is gone. */
export async function endProcess(
  pid: number,
  mark: string,
  graceMs: number,
  clock: Clock,
): Promise<void> {
  const deadline = clock.monotonicMs() + graceMs;
  signal(pid, 'SIGTERM');
  let killed = false;
  while ((await startMark(pid)) === mark) {
    if (!killed && clock.monotonicMs() > deadline) {
      killed = true;
      signal(pid, 'SIGKILL');
    }
    await clock.sleep(20);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It went away by itself meanwhile, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function readOrNothing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

function ps(pid: number, column: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('ps', ['-ww', '-o', column, '-p', String(pid)], (error, stdout) => {
      resolve(error === null && stdout.trim() !== '' ? stdout.trim() : undefined);
    });
  });
}
