/**
 * The processes of one command: its process group, and whatever of it left the group, known by a
 * variable of its environment.
 *
 * What runs is written into the scratch directory of the attempt (`command-group.json`), so that an
 * agent that starts after one was killed ends what that one left behind. A pid alone proves nothing
 * then: a group is ended only when its leader has the very start time, or a member the variable.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { isMissing } from '../../config/durable-file.ts';
import { groupMembers, signalGroup } from '../child/process-group.ts';

/** Set for the program; what it starts inherits it. */
export const MARK = 'RUNNEL_ATTEMPT';

export interface CommandGroup {
  readonly pgid: number;
  /** Value of the variable, of this attempt alone. */
  readonly mark: string;
}

interface GroupRecord extends CommandGroup {
  readonly v: 1;
  /** Of the leader, in clock ticks since the boot; null where there is no /proc. */
  readonly startTicks: string | null;
  readonly boot: string | null;
}

const FILE = 'command-group.json';
/** Between SIGTERM and SIGKILL. */
const TERM_MS = 2000;
const LOOK_MS = 50;
const DEPTH_MAX = 4;

/** At once after the start: what is written here outlives the agent. */
export function recordGroup(scratchDir: string, { pgid, mark }: CommandGroup): void {
  const record: GroupRecord = { v: 1, pgid, mark, startTicks: startTicks(pgid), boot: bootId() };
  writeFileSync(join(scratchDir, FILE), JSON.stringify(record));
}

/**
 * Ends all of it: SIGTERM, 2 s later SIGKILL. Resolves with false when something is still there
 * (a process that the kernel does not let go).
 */
export async function endGroup(group: CommandGroup, clock: Clock): Promise<boolean> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const until = clock.monotonicMs() + TERM_MS;
    // Again and again: what is starting while the others end must not be missed.
    while (sendTo(group, signal)) {
      if (clock.monotonicMs() > until) break;
      await clock.sleep(LOOK_MS);
    }
  }
  return !isAlive(group);
}

/**
 * Ends what an agent that was killed left behind. Called before the scratch directories of its
 * attempts are removed; returns how many groups there were.
 */
export async function endOrphans(scratchRoot: string, clock: Clock): Promise<number> {
  const groups = recordsBelow(scratchRoot, 0).filter((record) => isOurs(record));
  await Promise.all(groups.map((group) => endGroup(group, clock)));
  return groups.length;
}

/** Pids of the group and of those that left it. */
export function groupPids({ pgid, mark }: CommandGroup): number[] {
  return [...new Set([...groupMembers(pgid), ...markedPids(mark)])];
}

function isAlive(group: CommandGroup): boolean {
  if (process.platform === 'linux') return groupPids(group).length > 0;
  try {
    return process.kill(-group.pgid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** False when nobody is left. */
function sendTo(group: CommandGroup, signal: NodeJS.Signals): boolean {
  if (!isAlive(group)) return false;
  signalGroup(group.pgid, signal);
  for (const pid of markedPids(group.mark)) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return true;
}

/** Processes with the variable in the environment that they were started with. */
function markedPids(mark: string): number[] {
  const wanted = Buffer.from(`${MARK}=${mark}\0`);
  return pids().filter((pid) => {
    const environment = readProc(`/proc/${pid}/environ`);
    return environment?.includes(wanted) === true && !isZombie(pid);
  });
}

function isOurs(record: GroupRecord): boolean {
  if (record.boot !== bootId()) return false;
  if (record.startTicks !== null && startTicks(record.pgid) === record.startTicks) return true;
  return markedPids(record.mark).length > 0;
}

function recordsBelow(folder: string, depth: number): GroupRecord[] {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && depth < DEPTH_MAX) return recordsBelow(path, depth + 1);
    return entry.isFile() && entry.name === FILE ? parseRecord(readFileSync(path, 'utf8')) : [];
  });
}

/** A record that is cut short was written by an agent that was killed at that very instant. */
function parseRecord(text: string): GroupRecord[] {
  try {
    const record = JSON.parse(text) as GroupRecord;
    return record.v === 1 && Number.isSafeInteger(record.pgid) && record.pgid > 1 ? [record] : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function startTicks(pid: number): string | null {
  const stat = readProc(`/proc/${pid}/stat`)?.toString('latin1');
  // Field 22; the program's name, field 2, may hold spaces and brackets.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function isZombie(pid: number): boolean {
  const stat = readProc(`/proc/${pid}/stat`)?.toString('latin1') ?? '';
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

function bootId(): string | null {
  return readProc('/proc/sys/kernel/random/boot_id')?.toString('latin1').trim() ?? null;
}

function pids(): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

function readProc(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}
