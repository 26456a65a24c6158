/**
 * Change events out of two states of a table. The state that they lead to is kept in the commit of
 * the events, and not behind what takes them: a row that changes and changes back while those fail
 * would else be told wrong to whoever had taken the first of it.
 *
 * `source.sequence` is `[start of the partition, revision, place]`: a later run is beyond an
 * earlier one; where a run of the same partition has something else to tell the revision is beyond
 * (io/idempotency-key.ts); and a run that tells the same gives the same events.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ChangesTaskConfig } from '@runnel/shared/definitions/tasks/changes.ts';
import { limits } from '@runnel/shared/limits.ts';
import { agentVersion } from '../../config/agent-version.ts';
import { KeyBuckets, type States } from '../changes/key-buckets.ts';
import { type RowDifference, rowDifference } from '../changes/row-difference.ts';
import { Slices } from '../data/slices.ts';
import { writeOutput } from '../data/write-output.ts';
import { sentRevision } from '../io/idempotency-key.ts';
import { tableOf } from '../io/load-input.ts';
import type { DatasetRecord, TableRef } from '../records.ts';
import { LineWriter, readLines } from '../tables/line-file.ts';
import { tableOutput } from '../tables/table-output.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import { TaskError } from './task-error.ts';
import type { Row } from './task-services.ts';

export const changesTask = defineTaskRunner<ChangesTaskConfig>({
  kind: 'changes',
  async run(config, context) {
    const now = tableOf(config.input, context);
    const states = statesBefore(config, context);
    const compared = await compare(config, { ...states, now }, context);
    const revision = revisionOf(compared.hash, context);
    const { tables } = context.services;
    const table = await tables.write(context, envelopes(compared.files, revision, config, context));
    const { facts, success } = await writeOutput(config.output, table, context);
    const { dataset } = config.against ?? {};
    const kept = dataset === undefined ? [] : [{ dataset, table: now, deliver: false }];
    const { dead, counts } = compared;
    if (dead.count > 0) context.log.warn(`${dead.count} rows went to the dead letters`);
    return {
      output: {
        ...(await tableOutput(tables, table)),
        ...facts,
        ...counts,
        deadLetters: dead.count,
      },
      table,
      deadRows: dead.kept,
      deadRowCount: dead.count,
      ...success,
      datasets: [...kept, ...(success.datasets ?? [])],
      removedDatasets: states.old,
    } satisfies TaskSuccess;
  },
});

/** Of a dataset the newest partition before the run's, and the run's own where it has been made. */
function statesBefore(
  { against }: ChangesTaskConfig,
  context: TaskContext,
): Pick<States, 'before' | 'own'> & { readonly old: readonly DatasetRecord[] } {
  const nothing = { before: undefined, own: undefined, old: [] };
  if (against === undefined) return nothing;
  if (against.task !== undefined) return { ...nothing, before: tableOf(against.task, context) };
  const { id, key, start } = context.scope.partition;
  const stored = context.services.datasets
    .partitions(against.dataset ?? '')
    .filter(({ partition }) => key === null || `${partition}/`.startsWith(`${key}/`));
  return {
    before: rowsOf(stored.findLast((each) => each.start < start)),
    own: rowsOf(stored.find((each) => each.partition === id && each.start === start)),
    // One of those that stay is the run's own.
    old: stored.filter(({ partition }) => partition !== id).slice(0, 1 - limits.changesStatesMax),
  };
}

function rowsOf(record: DatasetRecord | undefined): TableRef | undefined {
  if (record === undefined || record.table !== null) return record?.table ?? undefined;
  const told = `the dataset ${record.name} keeps no rows on this device`;
  throw new TaskError('definition', 'dataset_rows', told, {
    hint: 'Compare with a dataset that a batch job publishes.',
  });
}

const COUNTS = { r: 'read', c: 'created', u: 'updated', d: 'deleted' } as const;

interface Compared {
  /** Lines of differences, in the order of the events. */
  readonly files: readonly string[];
  /** Of all of them. */
  readonly hash: string;
  readonly counts: Readonly<Record<(typeof COUNTS)[keyof typeof COUNTS] | 'unchanged', number>>;
  readonly dead: KeyBuckets['dead'];
}

/** Deletes go into a file of their own: they come first, for a value may have moved to a row. */
async function compare(
  { key }: ChangesTaskConfig,
  { before, own, now }: States & { readonly now: TableRef },
  context: TaskContext,
): Promise<Compared> {
  const counts = { read: 0, created: 0, updated: 0, deleted: 0, unchanged: 0 };
  const comparison = {
    isSnapshot: before === undefined || context.fullRefresh,
    hasOwn: own !== undefined,
  };
  const bytes = now.bytes + (before?.bytes ?? 0);
  const buckets = new KeyBuckets(key, bytes, context, new Slices(context));
  const files = ['gone', 'there'].map((name) => join(context.scratchDir, `${name}.jsonl`));
  const [gone, there] = await Promise.all(
    files.map((file) => LineWriter.create(file, 2 * limits.tableBytesMax)),
  );
  const hash = createHash('sha256');
  try {
    for await (const rows of buckets.compare({ before, own, now })) {
      const difference = rowDifference(rows, comparison);
      if (difference === undefined) {
        if (rows.now !== undefined) counts.unchanged += 1;
        continue;
      }
      counts[COUNTS[difference.op]] += 1;
      const line = JSON.stringify(difference);
      hash.update(line).update('\n');
      const writer = difference.op === 'd' ? gone : there;
      if (writer?.add(line) === true) await writer.flush();
    }
    await gone?.flush();
    await there?.flush();
  } finally {
    await gone?.abandon();
    await there?.abandon();
  }
  return { files, hash: hash.digest('hex'), counts, dead: buckets.dead };
}

function revisionOf(hash: string, context: TaskContext): number {
  context.sending(hash);
  return sentRevision(context.sent, hash);
}

async function* envelopes(
  files: readonly string[],
  revision: number,
  config: ChangesTaskConfig,
  { scope: { job, agent, partition } }: TaskContext,
): AsyncGenerator<Row> {
  const tsMs = Math.max(partition.start, partition.end);
  let place = 0;
  for (const file of files) {
    for await (const lines of readLines(file)) {
      for (const line of lines) {
        const { op, before, after } = JSON.parse(line) as RowDifference;
        const source = {
          version: agentVersion,
          connector: 'runnel',
          name: config.name ?? job.name,
          ts_ms: tsMs,
          snapshot: op === 'r' ? 'true' : 'false',
          db: config.db ?? agent.name,
          sequence: JSON.stringify([partition.start, revision, ++place].map(String)),
          schema: null,
          table: config.table ?? config.against?.dataset ?? config.input,
        };
        yield { before, after, source, transaction: null, op, ts_ms: tsMs };
      }
    }
  }
}
