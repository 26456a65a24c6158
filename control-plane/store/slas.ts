/** Verdicts on promises as intervals (schema.ts): what writes and reads them. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { SlaKind } from '@runnel/shared/definitions/sla.ts';
import type { Verdict } from '@runnel/shared/sla/sla-state.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Schema, SlaIntervalsTable } from './schema.ts';
import { storableText } from './storable-text.ts';

export type SlaLine = 'own' | 'device';
export type SlaJudge = 'device' | 'control-plane';

export interface SlaIdentity {
  readonly job: string;
  /** Null: of the whole fleet. */
  readonly agent: string | null;
  readonly sla: string;
}

export interface SlaIntervalRecord extends SlaIdentity {
  readonly kind: SlaKind;
  readonly verdict: Verdict;
  readonly cause: string;
  readonly judge: SlaJudge;
  readonly from: number;
  /** Exclusive; null while it lasts. */
  readonly to: number | null;
}

/** The verdict changed at `at`; null: it is not judged any more. */
export interface SlaChangeRecord extends SlaIdentity {
  readonly line: SlaLine;
  readonly kind: SlaKind;
  readonly verdict: Verdict | null;
  readonly cause: string;
  readonly judge: SlaJudge;
  readonly at: number;
}

/** In their order: closes what lasts on that line, and opens what begins. */
export async function putSlaChanges(
  transaction: Transaction<Schema>,
  changes: readonly SlaChangeRecord[],
): Promise<void> {
  for (const change of changes) {
    const { line, job, sla, at } = change;
    const agent = change.agent ?? '';
    const open = transaction
      .updateTable('sla_intervals')
      .set({ to_at: at })
      .where('to_at', 'is', null)
      .where('job', '=', job)
      .where('agent', '=', agent)
      .where('sla', '=', sla)
      .where('line', '=', line);
    await open.execute();
    const { verdict, kind, judge } = change;
    if (verdict === null) continue;
    const cause = storableText(change.cause, limits.eventMessageCharsMax);
    const values = { line, job, agent, sla, kind, verdict, cause, judge };
    await transaction
      .insertInto('sla_intervals')
      .values({ ...values, from_at: at, to_at: null })
      .execute();
  }
}

/** Those that last, of every promise. */
export async function openSlaIntervals(
  db: Kysely<Schema>,
  line: SlaLine,
): Promise<SlaIntervalRecord[]> {
  const rows = await db
    .selectFrom('sla_intervals')
    .selectAll()
    .where('to_at', 'is', null)
    .where('line', '=', line)
    .orderBy('id')
    .execute();
  return rows.map(recordOf);
}

export interface SlaHistoryQuery {
  readonly job: string;
  readonly sla?: string;
  /** Null: of the whole fleet alone; undefined: all. */
  readonly agent?: string | null;
  /** Intervals that reach beyond this. */
  readonly since: number;
  readonly limit: number;
}

/** By promise, then in the order of time; of more than `limit` the newest. */
export async function slaHistory(
  db: Kysely<Schema>,
  line: SlaLine,
  { job, sla, agent, since, limit }: SlaHistoryQuery,
): Promise<SlaIntervalRecord[]> {
  let query = db
    .selectFrom('sla_intervals')
    .selectAll()
    .where('job', '=', job)
    .where('line', '=', line)
    .where((e) => e.or([e('to_at', 'is', null), e('to_at', '>', since)]));
  if (sla !== undefined) query = query.where('sla', '=', sla);
  if (agent !== undefined) query = query.where('agent', '=', agent ?? '');
  const rows = await query.orderBy('from_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
  return rows.reverse().map(recordOf);
}

function recordOf(row: Selectable<SlaIntervalsTable>): SlaIntervalRecord {
  return {
    job: row.job,
    agent: row.agent === '' ? null : row.agent,
    sla: row.sla,
    kind: row.kind as SlaKind,
    verdict: row.verdict as Verdict,
    cause: row.cause,
    judge: row.judge as SlaJudge,
    from: row.from_at,
    to: row.to_at,
  };
}
