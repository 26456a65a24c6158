/** Histories and compliance of a job's promises, read from the store. */
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Kysely } from 'kysely';
import type { SlaComplianceItem, SlaIntervalItem } from '../http/sla-messages.ts';
import type { Schema } from '../store/schema.ts';
import { type SlaHistoryQuery, slaHistory, type SlaIntervalRecord } from '../store/slas.ts';
import { complianceOf, keptIn, NOTHING_KEPT, sumOf } from './compliance.ts';
import { mergeTimelines } from './merge-timelines.ts';
import type { SlaBoard } from './sla-board.ts';

export interface SlaHistoryParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly slas: Pick<SlaBoard, 'deviceSince' | 'termsOf'>;
}

export interface SlaHistoryRead {
  /** By promise and agent, then in the order of time. */
  readonly items: readonly SlaIntervalItem[];
  /** There is more than one answer holds: of the earliest time some is missing. */
  readonly truncated: boolean;
}

type Wanted = Omit<SlaHistoryQuery, 'limit'>;

export async function readSlaHistory(
  parts: SlaHistoryParts,
  wanted: Wanted,
): Promise<SlaHistoryRead> {
  const { merged, truncated } = await histories(parts, wanted);
  const items = [...merged.values()].flat().map(({ kind: _kind, ...item }) => item);
  return { items, truncated };
}

/** `overMs` null: of each promise its own window. A job's own line, then a line per agent. */
export async function readSlaCompliance(
  parts: SlaHistoryParts,
  job: string,
  overMs: number | null,
): Promise<{ readonly items: readonly SlaComplianceItem[]; readonly truncated: boolean }> {
  const to = parts.clock.now();
  const terms = parts.slas.termsOf(job);
  const longest = Math.max(0, ...[...terms.values()].map(({ windowMs }) => windowMs));
  const { merged, truncated } = await histories(parts, { job, since: to - (overMs ?? longest) });
  const totals = new Map<string, SlaComplianceItem>();
  const items: SlaComplianceItem[] = [];
  const sums = new Map<string, ReturnType<typeof keptIn>>();
  for (const intervals of merged.values()) {
    const [first] = intervals;
    const term = first === undefined ? undefined : terms.get(first.sla);
    if (first === undefined || term === undefined) continue;
    const span = { from: to - (overMs ?? term.windowMs), to };
    const kept = keptIn(intervals, span.from, to);
    const { sla, agent, kind } = first;
    const { objective } = term;
    items.push(complianceOf({ job, agent, sla, kind, objective }, kept, span));
    const sum = sumOf(sums.get(sla) ?? NOTHING_KEPT, kept);
    sums.set(sla, sum);
    if (agent === null) continue;
    totals.set(sla, complianceOf({ job, agent: null, sla, kind, objective }, sum, span));
  }
  return { items: [...totals.values(), ...items], truncated };
}

async function histories(
  { db, slas }: SlaHistoryParts,
  wanted: Wanted,
): Promise<{ readonly merged: Map<string, SlaIntervalRecord[]>; readonly truncated: boolean }> {
  const limit = limits.slaIntervalsReadMax;
  const own = await slaHistory(db, 'own', { ...wanted, limit });
  const device = await slaHistory(db, 'device', { ...wanted, limit });
  const [ownOf, deviceOf] = [grouped(own), grouped(device)];
  const merged = new Map<string, SlaIntervalRecord[]>();
  for (const key of [...ownOf.keys()].toSorted()) {
    const line = ownOf.get(key) ?? [];
    const [first] = line;
    if (first === undefined) continue;
    const { agent, job, sla } = first;
    const since = agent === null ? null : slas.deviceSince(agent, job, sla);
    merged.set(key, mergeTimelines(line, deviceOf.get(key) ?? [], since));
  }
  return { merged, truncated: own.length === limit || device.length === limit };
}

function grouped(records: readonly SlaIntervalRecord[]): Map<string, SlaIntervalRecord[]> {
  const groups = new Map<string, SlaIntervalRecord[]>();
  for (const record of records) {
    const key = `${record.sla}/${record.agent ?? ''}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return groups;
}
