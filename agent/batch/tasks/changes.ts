/**
 * Change events out of two states of a table. The state that they lead to is kept in the commit of
 * the events, and not behind what takes them: a row that changes and changes back while those fail
 * would else be told wrong to whoever had taken the first of it.
 *
 * A run is compared with the state that was committed last, whatever its partition
 * (changes/state-chain.ts): who takes all events comes to that state, and from there to the next.
 * An attempt that was compared with a state that is the last no more fails at its commit.
 *
 * `source.sequence` is `[number of the state, revision, place]`: a later commit is beyond an
 * earlier one; where the same state has something else to tell the revision is beyond
 * (io/idempotency-key.ts). A run that is made again with the rows of its state gives the events
 * that led there, out of the same two states, and with their sequence. With other rows it goes to
 * the end, and tells also what differs from what it was compared with first, as its events may not
 * have been taken. Where what it was compared with is gone, because that partition has been made
 * again itself or is too old, those events cannot be made again: all rows are read, as new events.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChangesTaskConfig } from '@runnel/shared/definitions/tasks/changes.ts';
import { limits } from '@runnel/shared/limits.ts';
import { agentVersion } from '../../config/agent-version.ts';
import { KeyBuckets, type States } from '../changes/key-buckets.ts';
import {
  between,
  type Comparison,
  type RowDifference,
  rowDifference,
} from '../changes/row-difference.ts';
import { StateChain } from '../changes/state-chain.ts';
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
    const { compared, number, ...kept } = await told(config, now, context);
    const { tables } = context.services;
    const revision = revisionOf(compared.hash, context);
    const rows = envelopes(compared, [number, revision], config, context);
    const table = await tables.write(context, rows);
    const { facts, success } = await writeOutput(config.output, table, context);
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
      ...kept,
      datasets: [...kept.datasets, ...(success.datasets ?? [])],
    } satisfies TaskSuccess;
  },
});

type Kept = Pick<TaskSuccess, 'removedDatasets' | 'requireCurrent'> & {
  readonly datasets: NonNullable<TaskSuccess['datasets']>;
};

interface Told extends Kept {
  readonly compared: Compared;
  /** First of the sequence. */
  readonly number: number;
}

async function told(config: ChangesTaskConfig, now: TableRef, context: TaskContext): Promise<Told> {
  const { against } = config;
  if (against?.dataset !== undefined) return toldOfChain(config, against.dataset, now, context);
  const before = against?.task === undefined ? undefined : tableOf(against.task, context);
  const isSnapshot = before === undefined || context.fullRefresh;
  const states = { before, own: undefined, now };
  const compared = await compare(config, states, { isSnapshot, hasOwn: false }, context);
  return { compared, number: context.scope.partition.start, datasets: [] };
}

async function toldOfChain(
  config: ChangesTaskConfig,
  dataset: string,
  now: TableRef,
  context: TaskContext,
): Promise<Told> {
  const chain = StateChain.of(dataset, context);
  const { last, own } = chain;
  const base = own === undefined ? null : chain.baseOf(own);
  if (own !== undefined && base !== undefined && !context.fullRefresh) {
    const states = { before: rowsOf(base?.record), own: rowsOf(own.record), now };
    const comparison = { isSnapshot: own.link.isSnapshot, hasOwn: false };
    const again = await compare(config, states, comparison, await apart(context));
    if (again.isOwn) return { compared: again, number: own.link.n, datasets: [] };
  }
  const isSnapshot =
    context.fullRefresh ||
    last === undefined ||
    base === undefined ||
    own?.link.isSnapshot === true;
  const states = { before: rowsOf(last?.record), own: rowsOf(base?.record), now };
  const comparison = { isSnapshot, hasOwn: states.own !== undefined };
  const compared = await compare(config, states, comparison, context);
  const n = Math.max(context.scope.partition.start, (last?.link.n ?? -1) + 1);
  const after = (last === own ? base?.link.n : last?.link.n) ?? null;
  // One of those that stay is the run's own.
  const others = chain.states.filter((each) => each !== own).map(({ record }) => record);
  return {
    compared,
    number: n,
    datasets: [{ dataset, table: now, deliver: false, link: { n, after, isSnapshot } }],
    removedDatasets: others.slice(0, 1 - limits.changesStatesMax),
    requireCurrent: () => chain.requireLast(StateChain.of(dataset, context)),
  };
}

/** With a directory of its own for the files. */
async function apart(context: TaskContext): Promise<TaskContext> {
  const scratchDir = join(context.scratchDir, 'again');
  await mkdir(scratchDir);
  return { ...context, scratchDir };
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
  /** The present state is `own`. */
  readonly isOwn: boolean;
}

/** Deletes go into a file of their own: they come first, for a value may have moved to a row. */
async function compare(
  { key }: ChangesTaskConfig,
  { before, own, now }: States & { readonly now: TableRef },
  comparison: Comparison,
  context: TaskContext,
): Promise<Compared> {
  const counts = { read: 0, created: 0, updated: 0, deleted: 0, unchanged: 0 };
  let isOwn = true;
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
      isOwn &&= between(rows.own, rows.now) === undefined;
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
  return { files, hash: hash.digest('hex'), counts, dead: buckets.dead, isOwn };
}

function revisionOf(hash: string, context: TaskContext): number {
  context.sending(hash);
  return sentRevision(context.sent, hash);
}

/** Where the row stands in its snapshot, as Debezium marks it. */
function snapshotMark(n: number, of: number): string {
  if (n === of) return 'last';
  return n === 1 ? 'first' : 'true';
}

async function* envelopes(
  { files, counts }: Compared,
  sequence: readonly [number: number, revision: number],
  config: ChangesTaskConfig,
  { scope: { job, agent, partition } }: TaskContext,
): AsyncGenerator<Row> {
  const tsMs = Math.max(partition.start, partition.end);
  let place = 0;
  let read = 0;
  for (const file of files) {
    for await (const lines of readLines(file)) {
      for (const line of lines) {
        const { op, before, after } = JSON.parse(line) as RowDifference;
        const source = {
          version: agentVersion,
          connector: 'runnel',
          name: config.name ?? job.name,
          ts_ms: tsMs,
          snapshot: op === 'r' ? snapshotMark(++read, counts.read) : 'false',
          db: config.db ?? agent.name,
          sequence: JSON.stringify([...sequence, ++place].map(String)),
          schema: null,
          table: config.table ?? config.against?.dataset ?? config.input,
        };
        yield { before, after, source, transaction: null, op, ts_ms: tsMs };
      }
    }
  }
}
