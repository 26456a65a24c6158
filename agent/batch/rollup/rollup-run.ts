/**
 * One attempt of a rollup: which periods are to be computed, from which rows.
 *
 * The run's own periods are those that end in its partition. Beside them are computed: with
 * `journal`, periods that records have come for since the last success; with `from`, periods whose
 * finer partitions have changed. A period is computed whole from what is kept; where part of that
 * is gone, it stays as it is.
 */
import { createHash } from 'node:crypto';
import type { CompiledRollup } from '@runnel/shared/definitions/compile-rollup.ts';
import type { RollupTaskConfig } from '@runnel/shared/definitions/tasks/rollup.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DeadRows } from '../data/dead-rows.ts';
import { Slices } from '../data/slices.ts';
import { EVERYTHING, rowChunks, timeOfRow, type TimeRange } from '../data/timed-rows.ts';
import type { DatasetRecord } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import { PeriodGroups } from './period-groups.ts';
import { type Period, type Periods, rangesOf } from './periods.ts';
import { type MergeMarks, readMark, type RollupMark } from './rollup-cursor.ts';

/** Takes what was computed of some periods; `targets` without rows have none. */
export type Emit = (groups: PeriodGroups, targets: readonly Period[]) => Promise<void>;

export interface RollupRun {
  readonly config: RollupTaskConfig;
  readonly rollup: CompiledRollup;
  readonly periods: Periods;
  readonly dead: DeadRows;
  readonly context: TaskContext;
  readonly emit: Emit;
}

/** What is left for the next run, and how many periods stayed as they are. */
export interface RollupRest {
  readonly mark: RollupMark | undefined;
  readonly skipped: number;
}

export async function runRollup(run: RollupRun): Promise<RollupRest> {
  const { config } = run;
  if (config.journal !== undefined) return await overJournal(run);
  if (config.from !== undefined) return await overFiner(run);
  const own = ownPeriods(run);
  await overRows(run, config.rows === undefined ? undefined : own);
  return { mark: undefined, skipped: 0 };
}

/** Undefined for a run without a period: everything that has ended. */
function ownPeriods({ periods, context }: RollupRun): Period[] | undefined {
  const { start, end } = context.scope.partition;
  if (end <= start) return undefined;
  const own: Period[] = [];
  for (const period of periods.endingIn(start, end)) {
    if (own.length >= limits.rollupPeriodsMax) throw tooManyPeriods();
    own.push(period);
  }
  return own;
}

function tooManyPeriods(): TaskError {
  const message = `the rows are of more than ${limits.rollupPeriodsMax} periods`;
  return new TaskError('resources', 'rollup_periods', message, {
    hint: 'Make the period longer, or the partition of the job shorter.',
  });
}

function endOf({ scope: { partition, run } }: TaskContext): number {
  return Math.max(partition.end, run.at);
}

/** A task's table, of which every row counts, or a dataset. */
async function overRows(run: RollupRun, targets: readonly Period[] | undefined): Promise<void> {
  const { config, context } = run;
  if (targets?.length === 0) return;
  const from = config.rows === undefined ? { input: config.input } : { dataset: config.rows };
  const range = targets === undefined ? EVERYTHING : spanOf(targets);
  const groups = await grouped(run, rowChunks(from, range, context), (period) => {
    if (targets !== undefined) return period.startMs >= range.fromMs && period.endMs <= range.toMs;
    return config.rows === undefined || period.endMs <= endOf(context);
  });
  await run.emit(groups, targets ?? groups.starts().map((startMs) => run.periods.at(startMs)));
}

function spanOf(targets: readonly Period[]): TimeRange {
  return { fromMs: targets[0]!.startMs, toMs: targets.at(-1)!.endMs };
}

async function grouped(
  { rollup, periods, dead, context }: RollupRun,
  chunks: ReturnType<typeof rowChunks>,
  isWanted: (period: Period) => boolean,
): Promise<PeriodGroups> {
  const groups = new PeriodGroups(rollup, dead);
  const slices = new Slices(context);
  const wanted = new Map<number, boolean>();
  for await (const { rows, presetMs } of chunks) {
    for (const row of rows) {
      if (slices.isOver()) await slices.rest();
      const timeMs = timeOfRow(row, presetMs, rollup.ownTime, dead);
      if (timeMs === undefined) continue;
      const startMs = periods.startOf(timeMs);
      let take = wanted.get(startMs);
      if (take === undefined) {
        take = isWanted(periods.at(timeMs));
        wanted.set(startMs, take);
      }
      if (take) groups.add(row, timeMs, startMs);
    }
  }
  return groups;
}

async function overJournal(run: RollupRun): Promise<RollupRest> {
  const { context, periods } = run;
  const block = context.services.journal.nextBlock();
  const own = ownPeriods(run);
  const { journal: before } = readMark(context);
  const touched = new Set<number>(before?.pending);
  if (before !== undefined || own === undefined) {
    for (const startMs of await startsSince(run, before?.block ?? 0)) touched.add(startMs);
  }
  for (const { startMs } of own ?? []) touched.delete(startMs);
  const ended: Period[] = [];
  const pending: number[] = [];
  for (const startMs of [...touched].toSorted((left, right) => left - right)) {
    const period = periods.at(startMs);
    const isNow = period.endMs <= endOf(context) && ended.length < limits.rollupPeriodsMax;
    if (isNow) ended.push(period);
    else if (pending.length < limits.rollupPendingMax) pending.push(startMs);
    else throw tooManyPeriods();
  }
  for (const range of rangesIn(run, own ?? [])) await journalRange(run, range, own ?? []);
  let skipped = 0;
  for (const range of rangesIn(run, ended)) {
    try {
      await journalRange(run, range, ended);
    } catch (error) {
      if (taskErrorOf(error).class !== 'journal_incomplete') throw error;
      const stay = ended.filter(({ startMs }) => startMs >= range.startMs && startMs < range.endMs);
      skipped += stay.length;
      const since = iso(range.startMs);
      context.log.warn(`${stay.length} periods from ${since} on stay: the journal lacks records`);
    }
  }
  return { mark: { journal: { block, pending } }, skipped };
}

/** Starts of periods of records that were journaled since a block. */
async function startsSince(run: RollupRun, fromBlock: number): Promise<Set<number>> {
  const { config, context, dead, periods, rollup } = run;
  const slices = new Slices(context);
  const starts = new Set<number>();
  const counted = dead.count;
  const range = { source: config.journal!, ...EVERYTHING, fromBlock };
  for await (const rows of context.services.journal.rows(context, range)) {
    for (const row of rows) {
      if (slices.isOver()) await slices.rest();
      const timeMs = timeOfRow(row, context.scope.partition.start, rollup.ownTime, dead);
      if (timeMs !== undefined) starts.add(periods.startOf(timeMs));
    }
  }
  // Those rows are read again where they count; here they only told where.
  dead.forgetSince(counted);
  return starts;
}

/** With a `time:` of ours the journal can leave out nothing, and is read once. */
function rangesIn({ rollup }: RollupRun, targets: readonly Period[]): readonly Period[] {
  if (rollup.ownTime === undefined || targets.length === 0) return rangesOf(targets);
  return [{ startMs: targets[0]!.startMs, endMs: targets.at(-1)!.endMs }];
}

async function journalRange(
  run: RollupRun,
  { startMs, endMs }: Period,
  targets: readonly Period[],
): Promise<void> {
  const { config, context, rollup } = run;
  // The journal knows the source's own time, and nothing of a `time:` of ours.
  const span = rollup.ownTime === undefined ? { fromMs: startMs, toMs: endMs } : EVERYTHING;
  const range = { source: config.journal!, ...span, neededFromMs: startMs };
  const presetMs = context.scope.partition.start;
  const chunks = (async function* () {
    for await (const rows of context.services.journal.rows(context, range))
      yield { rows, presetMs };
  })();
  const within = targets.filter((period) => period.startMs >= startMs && period.endMs <= endMs);
  const wanted = new Set(within.map((period) => period.startMs));
  const groups = await grouped(run, chunks, (period) => wanted.has(period.startMs));
  await run.emit(groups, within);
}

/** Merges the partials of a finer rollup. */
async function overFiner(run: RollupRun): Promise<RollupRest> {
  const { config, context, periods } = run;
  const finer = finerByPeriod(run, context.services.datasets.partitions(config.from!));
  const { merged: before = {} } = readMark(context);
  const own = new Set(ownPeriods(run)?.map(({ startMs }) => startMs));
  const marks: Record<string, MergeMarks[string]> = {};
  let [computed, skipped] = [0, 0];
  for (const [startMs, parts] of [...finer].toSorted(([left], [right]) => left - right)) {
    const period = periods.at(startMs);
    const known = before[startMs];
    const hash = hashOf(parts);
    if (period.endMs > endOf(context)) continue;
    if (known !== undefined && parts.length < known[0]) {
      marks[startMs] = known;
      skipped += 1;
      const since = iso(startMs);
      context.log.warn(`the period from ${since} on stays: partitions of ${config.from} are gone`);
      continue;
    }
    const isNew = known === undefined || known[1] !== hash || own.has(startMs);
    if (isNew && computed >= limits.rollupPeriodsMax) continue;
    marks[startMs] = [parts.length, hash];
    if (!isNew) continue;
    computed += 1;
    await run.emit(await mergedParts(run, parts, startMs), [period]);
  }
  const kept = Object.entries(marks).slice(-limits.rollupPendingMax);
  return { mark: { merged: Object.fromEntries(kept) }, skipped };
}

async function mergedParts(
  { rollup, dead, context }: RollupRun,
  parts: readonly DatasetRecord[],
  startMs: number,
): Promise<PeriodGroups> {
  const groups = new PeriodGroups(rollup, dead);
  const slices = new Slices(context);
  for (const { table } of parts) {
    if (table === null) continue;
    for await (const rows of context.services.tables.read(table)) {
      for (const row of rows) {
        groups.merge(row, startMs);
        if (slices.isOver()) await slices.rest();
      }
    }
  }
  return groups;
}

function finerByPeriod(
  { config, periods }: RollupRun,
  records: readonly DatasetRecord[],
): Map<number, DatasetRecord[]> {
  const finer = new Map<number, DatasetRecord[]>();
  for (const record of records) {
    const { startMs, endMs } = periods.at(record.start);
    if (record.end > endMs) {
      const message = `partition ${record.partition} of ${config.from} lies in two periods`;
      throw new TaskError('definition', 'periods_cross', message, {
        hint: 'A finer period must lie within a coarser one: give both the same time zone.',
      });
    }
    const parts = finer.get(startMs);
    if (parts === undefined) finer.set(startMs, [record]);
    else parts.push(record);
  }
  return finer;
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function hashOf(parts: readonly DatasetRecord[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.partition}:${part.hash}\n`);
  return hash.digest('hex').slice(0, 16);
}
