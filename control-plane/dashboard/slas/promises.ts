/**
 * Promises as people think of them: one line per job and SLA, with the devices that keep it or do
 * not. Pure: from the verdicts of now and the compliance of a period, worst first.
 */
import type {
  SlaComplianceItem,
  SlaItem,
  SlaKindName,
  SlaVerdict,
} from '../../http/sla-messages.ts';
import { VERDICTS } from './verdict-look.ts';

export interface PromiseDevice {
  /** Null of a promise of the whole fleet. */
  readonly agent: string | null;
  readonly name: string;
  readonly now: SlaItem;
  readonly compliance: SlaComplianceItem | null;
}

export interface PromiseRow {
  readonly key: string;
  readonly job: string;
  readonly sla: string;
  readonly kind: SlaKindName;
  readonly target: string;
  readonly worst: SlaVerdict;
  readonly counts: Readonly<Record<SlaVerdict, number>>;
  /** Of the worst, the one that lasts longest. */
  readonly cause: string;
  readonly since: number;
  /** Over all devices; null where nothing is known of the period. */
  readonly compliance: SlaComplianceItem | null;
  /** Worst first. */
  readonly devices: readonly PromiseDevice[];
}

/** Of now alone: what became of them is added by `withCompliance`. */
export function promiseRows(items: readonly SlaItem[]): PromiseRow[] {
  const groups = new Map<string, SlaItem[]>();
  for (const item of items) {
    const key = promiseOf(item);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [item]);
    else members.push(item);
  }
  return [...groups]
    .map(([key, members]) => rowOf(key, members))
    .sort(
      (a, b) =>
        rank(a.worst) - rank(b.worst) ||
        b.counts[b.worst] - a.counts[a.worst] ||
        (a.key < b.key ? -1 : 1),
    );
}

function rowOf(key: string, members: readonly SlaItem[]): PromiseRow {
  const devices = members
    .map((now) => ({
      ...{ agent: now.agent, name: now.agentName ?? now.agent ?? 'whole fleet', now },
      compliance: null,
    }))
    .sort(
      (a, b) =>
        rank(a.now.verdict) - rank(b.now.verdict) ||
        a.now.since - b.now.since ||
        a.name.localeCompare(b.name, 'en', { numeric: true }),
    );
  const first = devices[0]?.now;
  if (first === undefined) throw new Error('a promise is of one item at least');
  const { job, sla, kind, target } = first;
  const counts = { met: 0, atRisk: 0, breached: 0, unreachable: 0 };
  for (const { verdict } of members) counts[verdict] += 1;
  return {
    ...{ key, job, sla, kind, target, counts, devices },
    worst: first.verdict,
    cause: first.cause,
    since: first.since,
    compliance: null,
  };
}

function rank(verdict: SlaVerdict): number {
  return VERDICTS.indexOf(verdict);
}

function promiseOf({ job, sla }: { job: string; sla: string }): string {
  return `${job}/${sla}`;
}

function placeOf({ job, sla, agent }: Pick<SlaItem, 'agent' | 'job' | 'sla'>): string {
  return `${promiseOf({ job, sla })}/${agent ?? ''}`;
}

/** With the compliance of a period, which is asked for when it is known who is in sight. */
export function withCompliance(
  rows: readonly PromiseRow[],
  compliance: readonly SlaComplianceItem[],
): PromiseRow[] {
  const byPlace = new Map(compliance.map((each) => [placeOf(each), each]));
  return rows.map((row) => ({
    ...row,
    compliance: byPlace.get(placeOf({ ...row, agent: null })) ?? null,
    devices: row.devices.map((device) => ({
      ...device,
      compliance: byPlace.get(placeOf(device.now)) ?? null,
    })),
  }));
}

export const ROWS_A_PAGE = 50;

export interface PageOfRows {
  readonly rows: readonly PromiseRow[];
  /** From 1, and one that there is. */
  readonly page: number;
  readonly pages: number;
}

export function pageOf(rows: readonly PromiseRow[], wanted: number): PageOfRows {
  const pages = Math.max(1, Math.ceil(rows.length / ROWS_A_PAGE));
  const page = Math.min(Math.max(1, Math.trunc(wanted) || 1), pages);
  const from = (page - 1) * ROWS_A_PAGE;
  return { rows: rows.slice(from, from + ROWS_A_PAGE), page, pages };
}

export interface Budget {
  /** Share that is left, from 0 to 1: how the bar is drawn. */
  readonly left: number;
  readonly overspent: boolean;
  readonly text: string;
}

/** Of the time or the runs in which a promise may fail, how much is left. */
export function budgetOf(compliance: SlaComplianceItem | null): Budget | null {
  const left = compliance?.budgetLeft ?? null;
  if (left === null) return null;
  const percent = Math.round(Math.abs(left) * 100);
  if (left >= 0) return { left: Math.min(1, left), overspent: false, text: `${percent} % left` };
  // Beyond some hundreds of percent nobody counts in percent.
  const times = Math.round(1 - left);
  const text = times < 4 ? `overspent by ${percent} %` : `spent ${times} times over`;
  return { left: 0, overspent: true, text };
}

/** Shares near one are read by what is missing: `99.95 %`, never a rounded-up `100 %`. */
export function formatShare(share: number | null): string {
  if (share === null) return '–';
  const percent = Math.floor(share * 100_000) / 1000;
  return `${percent >= 99 ? percent : Math.floor(percent * 10) / 10} %`;
}
