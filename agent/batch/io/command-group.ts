/**
 * The processes of one command: its process group, and whatever of it left the group, known by a
 * variable of its environment.
 *
 * What runs is written into the scratch directory of the attempt (`command-group.json`), so that an
 * agent that starts after one was killed ends what that one left behind: the variable before the
 * program starts, its pid after. A pid alone proves nothing then: a group is ended only when its
 * leader has the very start time.
 */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { isMissing } from '../../config/durable-file.ts';
import { signalGroup } from '../child/process-group.ts';
import { type CommandGroup, searchGroup, statOf } from './group-search.ts';

interface GroupRecord {
  readonly v: 1;
  readonly mark: string;
  /** Null: it was about to start. */
  readonly pgid: number | null;
  /** Of the leader, in clock ticks since the boot; null where there is no /proc. */
  readonly startTicks: string | null;
  readonly boot: string | null;
}

const FILE = 'command-group.json';
/** Between SIGTERM and SIGKILL. */
const TERM_MS = 2000;
const LOOK_MS = 50;
/** `<root>/<attempt>/command-group.json`; below that programs write. */
const DEPTH_MAX = 1;

/** Before the start without a pid, and at once after it. */
export function recordGroup(scratchDir: string, mark: string, pgid: number | null): void {
  const ticks = pgid === null ? null : startTicks(pgid);
  const record: GroupRecord = { v: 1, mark, pgid, startTicks: ticks, boot: bootId() };
  const path = join(scratchDir, FILE);
  writeFileSync(`${path}.new`, JSON.stringify(record));
  renameSync(`${path}.new`, path);
}

/**
 * Ends all of it: SIGTERM, 2 s later SIGKILL. Resolves with false when something is still there
 * (a process that the kernel does not let go).
 */
export async function endGroup(group: CommandGroup, clock: Clock): Promise<boolean> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const until = clock.monotonicMs() + TERM_MS;
    // Again and again: what is starting while the others end must not be missed.
    while (await sendTo(group, signal)) {
      if (clock.monotonicMs() > until) break;
      await clock.sleep(LOOK_MS);
    }
  }
  return !isAlive(group, await searchGroup(group));
}

/**
 * Ends what an agent that was killed left behind. Called before the scratch directories of its
 * attempts are removed; returns how many groups there were.
 */
export async function endOrphans(scratchRoot: string, clock: Clock): Promise<number> {
  const found = recordsBelow(scratchRoot, 0).map(async (record) => groupOf(record));
  const groups = (await Promise.all(found)).flat();
  await Promise.all(groups.map((group) => endGroup(group, clock)));
  return groups.length;
}

/** Where there is no /proc, as far as the group itself says. */
function isAlive({ pgid }: CommandGroup, pids: readonly number[]): boolean {
  if (process.platform === 'linux' || pgid === null) return pids.length > 0;
  try {
    return process.kill(-pgid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** False when nobody is left. */
async function sendTo(group: CommandGroup, signal: NodeJS.Signals): Promise<boolean> {
  const pids = await searchGroup(group);
  if (!isAlive(group, pids)) return false;
  if (group.pgid !== null) signalGroup(group.pgid, signal);
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return true;
}

/** What of it is still there, if anything. */
async function groupOf(record: GroupRecord): Promise<CommandGroup[]> {
  const { mark, pgid, startTicks: ticks, boot } = record;
  if (boot !== bootId()) return [];
  const isLeader = pgid !== null && ticks !== null && startTicks(pgid) === ticks;
  const group = { pgid: isLeader ? pgid : null, mark };
  return (await searchGroup(group)).length > 0 ? [group] : [];
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

/** A program may write what it likes where it runs: what is no record is none. */
function parseRecord(text: string): GroupRecord[] {
  try {
    const {
      v,
      mark,
      pgid,
      startTicks: ticks,
      boot,
    } = (JSON.parse(text) ?? {}) as Partial<GroupRecord>;
    const isGroup = pgid === null || (Number.isSafeInteger(pgid) && (pgid ?? 0) > 1);
    if (v !== 1 || typeof mark !== 'string' || mark === '' || !isGroup) return [];
    return [{ v, mark, pgid: pgid ?? null, startTicks: ticks ?? null, boot: boot ?? null }];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function startTicks(pid: number): string | null {
  return statOf(pid)?.startTicks ?? null;
}

function bootId(): string | null {
  return readProc('/proc/sys/kernel/random/boot_id')?.toString('latin1').trim() ?? null;
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
