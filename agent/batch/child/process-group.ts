/**
 * Process groups of Linux, as /proc shows them: who belongs to one, what memory a process holds,
 * and how to end them all. On other systems there is no /proc: nothing is known of memory.
 *
 * Memory is what only the process itself holds (anonymous and shared memory): pages of programs
 * and mapped files go by themselves when memory is short, and harm nobody.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Bytes that a process holds; undefined when it is gone, or where there is no /proc. */
export function processMemoryBytes(pid: number): number | undefined {
  const status = readProc(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  let bytes = 0;
  for (const [, kib] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)) {
    bytes += Number(kib) * 1024;
  }
  return bytes;
}

/** Processes of a group, whoever their parent is by now; zombies are left out. */
export function groupMembers(pgid: number): number[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names.flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = readProc(`/proc/${name}/stat`);
    // The program's name may hold spaces and brackets: fields count from the last bracket.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
    return Number(fields[2]) === pgid && fields[0] !== 'Z' ? [Number(name)] : [];
  });
}

/** Sends a signal to a whole group; false when nobody of it is left, or it is now another's. */
export function signalGroup(pgid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pgid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'EPERM') return false;
    throw error;
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}
