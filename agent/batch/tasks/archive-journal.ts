/**
 * Archives the journal of one source: whole periods that have ended long enough ago, and what came
 * late for periods that were archived before.
 *
 * The cursor says up to which event time all was archived (`upTo`) and which blocks had been read
 * (`block`). A record is new to the archive when its time is at or after `upTo`, or when its block
 * is `block` or a later one: each is met once. Late records make the period's file be written anew
 * where the journal provably still has all of it (as many rows as the file has, and the late ones);
 * else they go into a revision beside it.
 */
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import type { ArchiveTaskConfig } from '@runnel/shared/definitions/tasks/archive.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { isMissing } from '../../config/durable-file.ts';
import { type ArchivedFile, type ArchivePlan, writeArchives } from '../tables/archive-files.ts';
import { type PeriodFile, PeriodFiles, PeriodGrid } from '../tables/period-files.ts';
import type { JournalRange } from './task-services.ts';
import type { TaskContext } from './task.ts';
import { TaskError } from './task-error.ts';

/** What the archive knows of one period. */
export interface ArchivedPeriod extends ArchivedFile {
  readonly start: number;
  readonly end: number;
  /** Files beside it, for what came late. */
  readonly revisions: number;
}

export interface JournalCursor {
  readonly v: 1;
  readonly source: string;
  readonly period: string;
  readonly timezone: string;
  readonly upTo: number;
  readonly block: number;
  /** The oldest block that may hold what is not archived. */
  readonly needed: number;
  /** The newest `limits.archivePeriodsMax` by id. */
  readonly periods: Readonly<Record<string, ArchivedPeriod>>;
}

export interface JournalArchive {
  readonly cursor: JournalCursor;
  /** Of this attempt. */
  readonly files: readonly ArchivedFile[];
  readonly purgeableUpTo: number;
}

type Config = ArchiveTaskConfig & { readonly journal: string };

interface Piece {
  readonly found: PeriodFile;
  /** 0: the period's own file. */
  readonly revision: number;
}

const COLUMNS = [
  { name: '_time', type: 'BIGINT' },
  { name: '_topic', type: 'VARCHAR' },
];

export async function archiveJournal(
  config: Config,
  context: TaskContext,
): Promise<JournalArchive> {
  const { journal } = context.services;
  const before = cursorOf(config, context.cursor);
  const grid = new PeriodGrid(config.period, config.timezone);
  const oldMs = context.scope.run.at - config.olderThan;
  const upTo = Math.max(before.upTo, grid.endBefore(oldMs));
  const block = journal.nextBlock();
  const source = config.journal;
  checkWhole(before, context);
  const fresh = await collect(context, 'new', grid, {
    source,
    neededFromMs: -Infinity,
    fromMs: before.upTo,
    toMs: upTo,
    toBlock: block,
  });
  const late = await collect(context, 'late', grid, {
    source,
    fromMs: -Infinity,
    toMs: before.upTo,
    fromBlock: before.block,
    toBlock: block,
  });
  const pieces: Piece[] = fresh.map((found) => ({ found, revision: 0 }));
  for (const found of late) pieces.push(await latePiece(found, before, config, context, block));
  const plans = pieces.map((piece) => planOf(piece, config, context));
  if (context.fullRefresh) await refuseLess(pieces, plans, config, context);
  const { format, memory } = config;
  const files = await writeArchives(context, plans, { format, memoryBytesMax: memory });
  const purgeableUpTo = upTo - journal.aheadMsMax(context, source);
  const needed = journal.blockSince(purgeableUpTo);
  const periods = periodsAfter(before, pieces, files);
  return { cursor: { ...before, upTo, block, needed, periods }, files, purgeableUpTo };
}

/** Retention must not have been faster than the archive. */
function checkWhole({ needed }: JournalCursor, context: TaskContext): void {
  const first = context.services.journal.firstBlock();
  if (first <= Math.max(needed, 1)) return;
  const message = 'the journal was cut before all of it was archived';
  if (context.program.job.allowPartial || needed === 0) {
    context.log.warn(`${message}: going on with what there is`);
    return;
  }
  throw new TaskError('journal_incomplete', 'journal_incomplete', message, {
    hint: 'Raise history of the job or the journal in agent.yaml, or set allowPartial: true.',
    fields: { first, needed },
  });
}

/**
 * With `fullRefresh` nothing is known of what was archived: a file that is there may hold records
 * that the journal has since let go of, and is not written over then.
 */
async function refuseLess(
  pieces: readonly Piece[],
  plans: readonly ArchivePlan[],
  { journal: source }: Config,
  context: TaskContext,
): Promise<void> {
  const { journal, policy } = context.services;
  const wholeMs = journal.wholeFromMs() + journal.aheadMsMax(context, source);
  for (const [index, { found }] of pieces.entries()) {
    const { file } = plans[index]!;
    if (found.period.start >= wholeMs || !(await isThere(policy.path(file)))) continue;
    throw new TaskError(
      'journal_incomplete',
      'archive_partial',
      `${file} is there, and the journal no longer has all of ${found.period.id}`,
      { hint: 'Move the file away, or run without fullRefresh.', fields: { file } },
    );
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function collect(
  context: TaskContext,
  prefix: string,
  grid: PeriodGrid,
  range: JournalRange,
): Promise<PeriodFile[]> {
  if (range.fromMs >= range.toMs) return [];
  const files = new PeriodFiles(context.scratchDir, prefix, grid);
  try {
    for await (const rows of context.services.journal.rows(context, range)) await files.add(rows);
    return await files.close();
  } catch (error) {
    await files.abandon();
    throw error;
  }
}

/** The whole period again, or what came late beside it. */
async function latePiece(
  late: PeriodFile,
  before: JournalCursor,
  config: Config,
  context: TaskContext,
  block: number,
): Promise<Piece> {
  const { start, end, id } = late.period;
  const known = before.periods[id];
  if (known !== undefined && known.revisions === 0) {
    const grid = new PeriodGrid(config.period, config.timezone);
    const range = { source: config.journal, fromMs: start, toMs: end, toBlock: block };
    const whole = { ...range, neededFromMs: -Infinity };
    const [found] = await collect(context, `again-${start}`, grid, whole);
    if (found !== undefined && found.rows === known.rows + late.rows) return { found, revision: 0 };
  }
  if (known === undefined) {
    context.log.warn(`${late.rows} late records of ${id}, whose archive is no longer known`);
  }
  // The number of a block is unique where there is no count to go on from.
  return { found: late, revision: known === undefined ? block : known.revisions + 1 };
}

function planOf({ found, revision }: Piece, config: Config, context: TaskContext): ArchivePlan {
  const file = fileOf(config.to, found.period, context);
  const { rowsFile, rows } = found;
  return {
    rowsFile,
    rows,
    file: revision === 0 ? file : revised(file, revision),
    columns: COLUMNS,
  };
}

/** The path of a period, by the template of the job. */
export function fileOf(to: string, partition: Partition, context: TaskContext): string {
  const startAt = new Date(partition.start).toISOString();
  const endAt = new Date(partition.end).toISOString();
  const scope = { ...context.scope, partition: { ...partition, startAt, endAt } };
  const file = context.program.render(to, scope);
  if (typeof file === 'string') return file;
  throw new TaskError('definition', 'template_value', `to: ${JSON.stringify(file)} is no path`);
}

/** `a/x.parquet` to `a/x.r1.parquet`, `a/x.jsonl.gz` to `a/x.r1.jsonl.gz`. */
function revised(file: string, revision: number): string {
  const extension = file.endsWith('.jsonl.gz') ? '.jsonl.gz' : extname(file);
  return `${file.slice(0, file.length - extension.length)}.r${revision}${extension}`;
}

function cursorOf(config: Config, stored: Json): JournalCursor {
  const { journal: source, period, timezone } = config;
  if (stored === null) {
    return { v: 1, source, period, timezone, upTo: -Infinity, block: 0, needed: 0, periods: {} };
  }
  const cursor = stored as unknown as JournalCursor;
  if (cursor.source === source && cursor.period === period && cursor.timezone === timezone) {
    return cursor;
  }
  throw new TaskError(
    'definition',
    'archive_changed',
    `this task has archived ${cursor.source} by ${cursor.period} (${cursor.timezone}); ` +
      `now it says ${source} by ${period} (${timezone})`,
    { hint: 'Give the task another id and another path, so that no file is written over.' },
  );
}

function periodsAfter(
  before: JournalCursor,
  pieces: readonly Piece[],
  files: readonly ArchivedFile[],
): Record<string, ArchivedPeriod> {
  const periods = new Map(Object.entries(before.periods));
  for (const [index, { found, revision }] of pieces.entries()) {
    const file = files[index];
    if (file === undefined) continue;
    const { id, start, end } = found.period;
    const known = periods.get(id);
    if (revision === 0) periods.set(id, { ...file, start, end, revisions: 0 });
    else if (known !== undefined) periods.set(id, { ...known, revisions: revision });
  }
  const newest = [...periods].toSorted(([, a], [, b]) => b.start - a.start);
  return Object.fromEntries(newest.slice(0, limits.archivePeriodsMax));
}
