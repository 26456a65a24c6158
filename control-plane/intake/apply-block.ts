/**
 * One block of a lane into the store (DESIGN.md §6.4, I2).
 *
 * The mark of a lane `(agent, epoch, lane)` is the highest seq that is in the store, or was
 * declared lost. A block is applied only if `after <= mark < last`, rows at or below the mark are
 * skipped, and the mark moves by an update conditional on the value read, in the transaction that
 * inserts the rows. Otherwise nothing is stored: it is a duplicate (`last <= mark`), something is
 * missing before it (`after > mark`), or another replica moved the mark meanwhile.
 *
 * So a block that is sent twice, late, or to two replicas counts once, and an answer that is lost
 * costs a resend and nothing else. Reports of runs and tasks go to their own tables
 * (apply-runs.ts), by the same transaction.
 */
import type { Transaction } from 'kysely';
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import { limits } from '@runnel/shared/limits.ts';
import { SEVERITIES } from '@runnel/shared/protocol/condition.ts';
import type { ResultBlock, Row } from '@runnel/shared/protocol/results.ts';
import type { Schema } from '../store/schema.ts';
import { storableText } from '../store/storable-text.ts';
import { type AppliedRuns, applyRuns, isRunRow } from './apply-runs.ts';
import { applySlas, isSlaNews, isSlaRow } from './apply-slas.ts';

/** Rows in one statement: 17 values each stay under every database's bound on parameters. */
const ROWS_PER_INSERT = 500;

export interface Applied {
  /** The lane's mark after this block: the answer to the agent. */
  readonly mark: number;
  /** Rows that are new in the store. */
  readonly rows: readonly Row[];
  /** Rows that this block declared lost, beyond the mark before. */
  readonly lost: number;
  readonly outcome: 'applied' | 'duplicate' | 'gap' | 'raced';
  /** What reports of runs changed, when there were any. */
  readonly runs?: AppliedRuns;
}

/** Injected into intake, so that a test's composition root can plant a broken one. */
export type ApplyBlock = (
  transaction: Transaction<Schema>,
  block: ResultBlock,
  now: number,
) => Promise<Applied>;

export const applyBlock: ApplyBlock = async (transaction, block, now) => {
  const read = await readMark(transaction, block);
  const mark = read ?? 0;
  if (block.last <= mark) return { mark, rows: [], lost: 0, outcome: 'duplicate' };
  if (block.after > mark) return { mark, rows: [], lost: 0, outcome: 'gap' };
  const rows = block.rows.filter((row) => row.seq > mark);
  // What lies between the mark and the end of the block and did not come was dropped there.
  const lost = block.last - mark - rows.length;
  if (!(await moveMark(transaction, block, read, lost, now))) {
    const moved = await readMark(transaction, block);
    return { mark: moved ?? 0, rows: [], lost: 0, outcome: 'raced' };
  }
  const reports = rows.filter(isRunRow);
  const others = reports.length === 0 ? rows : rows.filter((row) => !isRunRow(row));
  await insertRows(transaction, block, others, now);
  await insertEvents(transaction, block, others, now);
  const promises = others.filter(isSlaRow);
  if (promises.length > 0) await applySlas(transaction, block.agent, promises, now);
  const applied = { mark: block.last, rows, lost, outcome: 'applied' } as const;
  if (reports.length === 0) return applied;
  return { ...applied, runs: await applyRuns(transaction, block.agent, reports, now) };
};

type LaneKey = Pick<ResultBlock, 'agent' | 'epoch' | 'lane'>;

/** Undefined when the lane has none yet. */
async function readMark(
  transaction: Transaction<Schema>,
  lane: LaneKey,
): Promise<number | undefined> {
  const row = await transaction
    .selectFrom('marks')
    .select('mark')
    .where('agent', '=', lane.agent)
    .where('epoch', '=', lane.epoch)
    .where('lane', '=', lane.lane)
    .executeTakeFirst();
  return row?.mark;
}

/** False when the mark is not `from` any more. */
export async function moveMark(
  transaction: Transaction<Schema>,
  block: ResultBlock,
  from: number | undefined,
  lost: number,
  now: number,
): Promise<boolean> {
  const { agent, epoch, lane, last } = block;
  if (from === undefined) {
    const made = await transaction
      .insertInto('marks')
      .values({ agent, epoch, lane, mark: last, lost, updated_at: now })
      .onConflict((conflict) => conflict.columns(['agent', 'epoch', 'lane']).doNothing())
      .executeTakeFirst();
    return (made.numInsertedOrUpdatedRows ?? 0n) > 0n;
  }
  const moved = await transaction
    .updateTable('marks')
    .set((e) => ({ mark: last, lost: e('lost', '+', lost), updated_at: now }))
    .where('agent', '=', agent)
    .where('epoch', '=', epoch)
    .where('lane', '=', lane)
    .where('mark', '=', from)
    .executeTakeFirst();
  return moved.numUpdatedRows > 0n;
}

export async function insertRows(
  transaction: Transaction<Schema>,
  lane: LaneKey,
  rows: readonly Row[],
  now: number,
): Promise<void> {
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    const values = rows.slice(start, start + ROWS_PER_INSERT).map((row) => ({
      agent: lane.agent,
      epoch: lane.epoch,
      lane: lane.lane,
      seq: row.seq,
      kind: row.kind,
      job: row.job,
      version: row.version,
      step: row.step,
      dataset: row.dataset,
      key: canonicalJson(row.key ?? null),
      window_start: row.windowStart,
      window_end: row.windowEnd,
      time: row.time,
      revision: row.revision,
      value: JSON.stringify(row.value ?? null),
      made_at: row.at,
      received_at: now,
    }));
    await transaction.insertInto('results').values(values).execute();
  }
}

/** Events of agents also stand among the events of the control plane, in the same commit. */
async function insertEvents(
  transaction: Transaction<Schema>,
  { agent }: LaneKey,
  rows: readonly Row[],
  now: number,
): Promise<void> {
  const values = rows
    .filter((row) => row.kind === 'event' && (!isSlaRow(row) || isSlaNews(row)))
    .map(({ time, job, dataset, value }) => ({
      // A device whose clock is ahead must not keep its events from ever growing old.
      at: Math.min(time, now),
      agent,
      job: job === '' ? null : job,
      type: dataset,
      severity: textIn(value, 'severity') ?? 'info',
      message: textIn(value, 'message') ?? dataset,
      data: JSON.stringify(value ?? null),
    }));
  if (values.length > 0) await transaction.insertInto('events').values(values).execute();
}

function textIn(value: unknown, field: 'message' | 'severity'): string | undefined {
  const found = (value as Readonly<Record<string, unknown>> | null)?.[field];
  if (typeof found !== 'string') return undefined;
  if (field === 'severity' && !SEVERITIES.some((known) => known === found)) return undefined;
  return storableText(found, limits.eventMessageCharsMax);
}
