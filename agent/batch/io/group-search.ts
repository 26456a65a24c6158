/**
 * Finds the processes of a command by /proc: its process group, those that carry its variable in
 * the environment that they were started with, and what these have started.
 *
 * Two ways, since a device may have many processes and one event loop: `searchGroup` looks at all
 * of them, by asynchronous reads, a few at a time, and at the environment of each only while it is
 * young (a process that has just been forked gets its own with its program); `GroupFamily` goes
 * from what is known to its children, which is a few reads. Where there is no /proc nothing is
 * found.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { processMemoryBytes } from '../child/process-group.ts';

/** Set for the program; what it starts inherits it. */
export const MARK = 'RUNNEL_ATTEMPT';

export interface CommandGroup {
  /** Null: only those with the variable are known. */
  readonly pgid: number | null;
  /** Value of the variable, of this attempt alone. */
  readonly mark: string;
}

export interface ProcessStat {
  readonly state: string;
  readonly pgid: number;
  /** In clock ticks since the boot: with the pid it names a process. */
  readonly startTicks: string;
}

const READS_AT_ONCE = 8;
/** USER_HZ of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const YOUNG_TICKS = 2 * TICKS_PER_SECOND;

/** Marks of processes that are no longer young, by pid and start; null: none. */
let marks = new Map<string, string | null>();
let searching: Promise<readonly Found[]> | undefined;

interface Found extends ProcessStat {
  readonly pid: number;
  readonly mark: string | null;
}

/** Pids of the group and of those that left it, without zombies. */
export async function searchGroup({ pgid, mark }: CommandGroup): Promise<number[]> {
  const found = await all();
  return found
    .filter((each) => each.mark === mark || (pgid !== null && each.pgid === pgid))
    .map(({ pid }) => pid);
}

/** One search at a time: whoever comes meanwhile waits for the next, and shares that. */
async function all(): Promise<readonly Found[]> {
  const before = searching;
  if (before !== undefined) {
    await before;
    if (searching !== undefined && searching !== before) return searching;
  }
  const mine = search().finally(() => {
    if (searching === mine) searching = undefined;
  });
  searching = mine;
  return mine;
}

async function search(): Promise<readonly Found[]> {
  const pids = await pidsNow();
  const nowTicks = Number((await read('/proc/uptime'))?.split(' ')[0] ?? 0) * TICKS_PER_SECOND;
  const seen = new Map<string, string | null>();
  const found: Found[] = [];
  for (let at = 0; at < pids.length; at += READS_AT_ONCE) {
    const some = pids.slice(at, at + READS_AT_ONCE);
    await Promise.all(
      some.map(async (pid) => {
        const stat = parseStat(await read(`/proc/${pid}/stat`));
        if (stat === undefined || stat.state === 'Z') return;
        const name = `${pid}/${stat.startTicks}`;
        const isYoung = nowTicks - Number(stat.startTicks) < YOUNG_TICKS;
        const known = marks.get(name);
        const mark = known === undefined ? markIn(await read(`/proc/${pid}/environ`)) : known;
        if (!isYoung || mark !== null) seen.set(name, mark);
        found.push({ pid, mark, ...stat });
      }),
    );
  }
  marks = seen;
  return found;
}

/** What a command has started, as far as it goes from child to child; nobody is lost once seen. */
export class GroupFamily {
  /** By pid: the start of the process. */
  readonly #known = new Map<number, string>();

  add(pids: readonly number[]): void {
    for (const pid of pids) {
      const stat = statOf(pid);
      if (stat !== undefined && stat.state !== 'Z') this.#known.set(pid, stat.startTicks);
    }
  }

  /** Bytes that all of them hold now. */
  memoryBytes(): number {
    let bytes = 0;
    // A map gives what is added while it is gone through: children of children come too.
    for (const [pid, startTicks] of this.#known) {
      if (statOf(pid)?.startTicks !== startTicks) {
        this.#known.delete(pid);
        continue;
      }
      bytes += processMemoryBytes(pid) ?? 0;
      this.add(childrenOf(pid).filter((child) => !this.#known.has(child)));
    }
    return bytes;
  }
}

export function statOf(pid: number): ProcessStat | undefined {
  return parseStat(readNow(`/proc/${pid}/stat`));
}

function childrenOf(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
  return threads.flatMap((thread) => {
    const text = readNow(`/proc/${pid}/task/${thread}/children`) ?? '';
    return text.split(' ').filter(Boolean).map(Number);
  });
}

function parseStat(text: string | undefined): ProcessStat | undefined {
  // The program's name may hold spaces and brackets: fields count from the last bracket.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, , pgid] = fields ?? [];
  const startTicks = fields?.[19];
  if (state === undefined || startTicks === undefined) return undefined;
  return { state, pgid: Number(pgid), startTicks };
}

function markIn(environment: string | undefined): string | null {
  const of = environment?.split('\0').find((each) => each.startsWith(`${MARK}=`));
  return of?.slice(MARK.length + 1) ?? null;
}

async function pidsNow(): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  return (await readdir('/proc')).flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function readNow(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** The process has ended, or is another's. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM';
}
