/**
 * Deletes what is old enough. What goes is decided by the time that the run stands for, so an
 * attempt that is made again, or late, takes no more than the first would have.
 */
import { lstat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PurgeTaskConfig } from '@runnel/shared/definitions/tasks/purge.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { isMissing } from '../../config/durable-file.ts';
import { namesIn } from '../../config/names-in.ts';
import { matcherOf } from '../io/list-files.ts';
import type { DatasetRecord } from '../records.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import { TaskError } from './task-error.ts';

/** Something that may go, with the time from which its age counts. */
interface Item {
  readonly name: string;
  readonly sinceMs: number;
  readonly bytes: number;
}

export const purgeTask = defineTaskRunner<PurgeTaskConfig>({
  kind: 'purge',
  async run(config, context) {
    context.signal.throwIfAborted();
    if (config.dataset !== undefined) return await purgeDataset(config.dataset, config, context);
    if (config.files !== undefined) return await purgeFiles(config.files, config, context);
    return await purgeJournal(config, context);
  },
});

/** Those that are too old, oldest first, without the newest `keep`. */
function tooOld<Each extends Item>(
  items: readonly Each[],
  { olderThan, keep = 0 }: PurgeTaskConfig,
  { scope }: TaskContext,
): Each[] {
  const newestMs = olderThan === undefined ? Infinity : scope.run.at - olderThan;
  const inOrder = items.toSorted((a, b) => a.sinceMs - b.sinceMs || (a.name < b.name ? -1 : 1));
  return inOrder
    .slice(0, Math.max(0, inOrder.length - keep))
    .filter(({ sinceMs }) => sinceMs <= newestMs)
    .slice(0, limits.purgeItemsMax);
}

function outputOf(config: PurgeTaskConfig, all: number, gone: readonly Item[]): Json {
  return {
    dryRun: config.dryRun,
    removed: gone.length,
    bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0),
    kept: all - gone.length,
    items: gone.slice(0, limits.outputNamesMax).map(({ name }) => name),
  };
}

/** Goes with the commit of this success. */
async function purgeDataset(
  dataset: string,
  config: PurgeTaskConfig,
  context: TaskContext,
): Promise<TaskSuccess> {
  const records = context.services.datasets.partitions(dataset);
  if (records.length === 0) {
    context.log.warn(`no partition of a dataset ${dataset} is on this device: is it named so?`);
  }
  const isArchived = await archivedPartitions(config, context);
  const items = records.map((record) => ({
    name: record.partition,
    sinceMs: record.end,
    bytes: record.table?.bytes ?? 0,
    record,
  }));
  const old = tooOld(items, config, context).filter(({ record }) => isArchived(record));
  const output = outputOf(config, records.length, old);
  if (config.dryRun) return { output };
  const removedDatasets = old.map(({ record: { name, partition, hash } }) => ({
    name,
    partition,
    hash,
  }));
  return { output, removedDatasets };
}

/** The table of an archive task has a row for each partition, with the hash of what it verified. */
async function archivedPartitions(
  { archivedBy }: PurgeTaskConfig,
  context: TaskContext,
): Promise<(record: DatasetRecord) => boolean> {
  const archives: Map<string, Json | undefined>[] = [];
  for (const task of archivesOf(archivedBy)) {
    const table = context.table(task);
    if (table === undefined) throw noArchive(task);
    const hashes = new Map<string, Json | undefined>();
    for await (const rows of context.services.tables.read(table)) {
      for (const { partition, hash } of rows) {
        if (typeof partition === 'string') hashes.set(partition, hash);
      }
    }
    archives.push(hashes);
  }
  return ({ partition, hash }) => archives.every((hashes) => hashes.get(partition) === hash);
}

function archivesOf(archivedBy: PurgeTaskConfig['archivedBy']): readonly string[] {
  return typeof archivedBy === 'string' ? [archivedBy] : (archivedBy ?? []);
}

function noArchive(task: string): TaskError {
  return new TaskError(
    'definition',
    'no_archive',
    `task ${task} says nothing of what it archived`,
    {
      hint: 'archivedBy names archive tasks, of the dataset or of a source of the journal.',
    },
  );
}

async function purgeFiles(
  pattern: string,
  config: PurgeTaskConfig,
  context: TaskContext,
): Promise<TaskSuccess> {
  const { policy } = context.services;
  const directory = policy.path(dirname(pattern));
  const matches = matcherOf(basename(pattern));
  const items: Item[] = [];
  for (const name of await namesIn(directory)) {
    if (!matches(name)) continue;
    // Of a link this is the link: no regular file, so neither it nor what it leads to goes.
    const facts = await lstat(join(directory, name));
    if (facts.isFile()) items.push({ name, sinceMs: facts.mtimeMs, bytes: facts.size });
  }
  const old = tooOld(items, config, context);
  if (!config.dryRun) {
    for (const { name } of old) {
      context.signal.throwIfAborted();
      await remove(policy.path(join(dirname(pattern), name)));
    }
  }
  return { output: outputOf(config, items.length, old) };
}

async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/**
 * A block holds records of all sources, so it stays when one of them is not archived, or when it is
 * history that a job wants kept.
 */
async function purgeJournal(config: PurgeTaskConfig, context: TaskContext): Promise<TaskSuccess> {
  const { log, scope, services } = context;
  const { journal } = services;
  let before = config.olderThan === undefined ? Infinity : scope.run.at - config.olderThan;
  let heldBy: string | null = null;
  const holdAt = (timeMs: number, name: string): void => {
    if (timeMs < before) [before, heldBy] = [timeMs, name];
  };
  holdAt(journal.historyFromMs(), 'history');
  if (config.archivedBy !== undefined) {
    const archived = new Set<string>();
    for (const task of archivesOf(config.archivedBy)) {
      const output = scope.tasks[task]?.output as Partial<Record<string, Json>> | null | undefined;
      const { source, purgeableUpTo } = output ?? {};
      if (typeof source !== 'string' || typeof purgeableUpTo !== 'number') throw noArchive(task);
      archived.add(source);
      holdAt(purgeableUpTo, task);
    }
    const beside = await journal.oldestBeside(context, archived, before);
    if (beside !== undefined) {
      holdAt(beside.sinceMs, beside.source);
      log.warn(`no archive of archivedBy is of ${beside.source}: its records and all later stay`);
    }
  }
  const removed = config.dryRun ? 0 : await journal.purgeBefore(before);
  return { output: { dryRun: config.dryRun, removed, before, heldBy } };
}
