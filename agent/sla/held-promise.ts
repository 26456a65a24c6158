/** One promise on the device: its verdict, and the facts that are kept between two looks. */
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { type Sla, slaTarget } from '@runnel/shared/definitions/sla.ts';
import { SLA_EVENT, type SlaChangeReport, type SlaReport } from '@runnel/shared/protocol/sla.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { DeadlineTimes } from '@runnel/shared/sla/deadlines.ts';
import { judge, type Judgement } from '@runnel/shared/sla/judge.ts';
import { type Settled, settle } from '@runnel/shared/sla/settle.ts';
import { type SlaChange, slaTransition, UNKNOWN } from '@runnel/shared/sla/sla-state.ts';
import { countInto, newRateWindow, shifted, sumOf, type Totals } from './rate-window.ts';
import {
  deadlineFacts,
  doneUpTo,
  durationFacts,
  lastSuccess,
  type SlaRun,
  successFacts,
} from './run-facts.ts';
import type { SlaRecord } from './sla-record.ts';

/** What the runtime tells of a job; `runs` of a batch job, `totals` of a stream job. */
export interface SlaSource {
  readonly runs: readonly SlaRun[] | null;
  readonly totals: (Totals & { readonly outputs: number }) | null;
  /** When the oldest row that waits for the control plane was made. */
  readonly oldestAt: number | null;
}

export interface HeldJob extends Pick<DesiredJob, 'name' | 'version'> {
  readonly sla: Sla;
  readonly times: DeadlineTimes | null;
}

export class HeldPromise {
  readonly job: HeldJob;
  #record: SlaRecord;
  /** Differs from what is stored in more than the time of the next look. */
  isStale = false;

  /**
   * `madeBy`: of a record out of the store, by when what the totals have beyond it was made at the
   * latest. It is kept less often than they are, and what is old must not look new.
   */
  constructor(
    job: HeldJob,
    stored: SlaRecord | undefined,
    source: SlaSource,
    now: number,
    madeBy: number | null = null,
  ) {
    this.job = job;
    const isOurs = stored !== undefined && stored.kind === job.sla.kind;
    this.#record = isOurs ? stored : begun(job.sla, source, now);
    this.isStale = !isOurs;
    const { outputs = 0 } = source.totals ?? {};
    if (!isOurs || madeBy === null || outputs === stored.outputs) return;
    const lastAt = Math.max(stored.lastAt ?? stored.sinceAt, Math.min(madeBy, now));
    this.#record = { ...stored, outputs, lastAt };
    this.isStale = true;
  }

  get record(): SlaRecord {
    return this.#record;
  }

  get nextAt(): number {
    return this.#record.nextAt ?? Infinity;
  }

  /** Takes what the runtime says; true when there is something new to judge. */
  gather({ runs, totals }: SlaSource, now: number): boolean {
    const record = this.#record;
    const { sla } = this.job;
    let next = record;
    if (totals !== null && totals.outputs !== record.outputs) {
      next = { ...next, outputs: totals.outputs, lastAt: now };
    }
    if (totals !== null && record.rate !== null) {
      const rate = countInto(record.rate, totals, now);
      if (rate !== record.rate) next = { ...next, rate };
    }
    if (runs !== null) {
      const done = Math.max(doneUpTo(runs) ?? -Infinity, record.doneUpTo ?? -Infinity);
      const lastSuccessAt = lastSuccess(runs) ?? record.lastSuccessAt;
      next = { ...next, lastSuccessAt, doneUpTo: Number.isFinite(done) ? done : null };
    }
    if (next === record) return sla.kind === 'deliveryLag';
    this.#record = next;
    this.isStale = true;
    return true;
  }

  /** Brings the verdict up to now. */
  look(source: SlaSource, now: number): readonly SlaChange[] {
    const { state, changes, nextAt } = this.#settle(source, now);
    const record = { ...this.#record, state, nextAt: Number.isFinite(nextAt) ? nextAt : null };
    this.#record = record;
    if (changes.length > 0) this.isStale = true;
    return changes;
  }

  /** It is not promised any more, or its job is paused. */
  end(now: number): readonly SlaChange[] {
    const { state, effects } = slaTransition(this.#record.state, { kind: 'ended' }, now);
    this.#record = { ...this.#record, state };
    return effects;
  }

  /** The clock was set: what is old stays as old as it was. */
  shift(deltaMs: number): void {
    const { sinceAt, lastAt, rate, nextAt } = this.#record;
    this.#record = {
      ...this.#record,
      sinceAt: sinceAt + deltaMs,
      lastAt: lastAt === null ? null : lastAt + deltaMs,
      rate: rate === null ? null : shifted(rate, deltaMs),
      nextAt: nextAt === null ? null : nextAt + deltaMs,
    };
    this.isStale = true;
  }

  /** With the numbers of now. */
  report(source: SlaSource, now: number): SlaReport | null {
    const { state } = this.#record;
    if (state.kind === 'unknown' || state.kind === 'unreachable') return null;
    const { name: job, sla } = this.job;
    const { kind: verdict, since } = state;
    const judged = verdict === 'met' ? null : this.#judge(source, now);
    const cause = judged?.verdict === verdict ? judged.cause : state.cause;
    return { job, sla: sla.name, verdict, since, cause };
  }

  row({ was, verdict, at, cause }: SlaChange, now: number): string {
    const { name: job, version, sla } = this.job;
    const value: SlaChangeReport = {
      sla: sla.name,
      kind: sla.kind,
      verdict: verdict === 'unreachable' ? null : verdict,
      was:
        was === null || was.verdict === 'unreachable'
          ? null
          : { verdict: was.verdict, since: was.since },
      target: slaTarget(sla),
      cause,
      severity: verdict === 'breached' ? 'error' : verdict === 'atRisk' ? 'warning' : 'ok',
      message: `${sla.name} ${verdictText(verdict)}: ${cause}`,
    };
    const text: Omit<Row, 'seq'> = {
      kind: 'event',
      job,
      version,
      step: '',
      dataset: SLA_EVENT,
      key: sla.name,
      windowStart: null,
      windowEnd: null,
      time: at,
      revision: 1,
      value,
      at: now,
    };
    return JSON.stringify(text);
  }

  #settle(source: SlaSource, now: number): Settled {
    const { state, nextAt } = this.#record;
    const fromMs = nextAt ?? now;
    const { sla } = this.job;
    switch (sla.kind) {
      case 'freshness':
        return settle(sla, this.#freshness(), state, fromMs, now);
      case 'deliveryLag':
        return settle(sla, { oldestAt: source.oldestAt, delivered: null }, state, fromMs, now);
      case 'duration':
        return settle(sla, durationFacts(source.runs ?? []), state, fromMs, now);
      case 'successRate':
        return settle(sla, this.#success(source, sla.overMs, now), state, now, now);
      case 'deadline':
        return settle(sla, this.#deadline(source), state, fromMs, now);
      case 'completeness':
        return { state, changes: [], nextAt: Infinity };
    }
  }

  #judge(source: SlaSource, now: number): Judgement | null {
    const { sla } = this.job;
    switch (sla.kind) {
      case 'freshness':
        return judge(sla, this.#freshness(), now);
      case 'deliveryLag':
        return judge(sla, { oldestAt: source.oldestAt, delivered: null }, now);
      case 'duration':
        return judge(sla, durationFacts(source.runs ?? []), now);
      case 'successRate':
        return judge(sla, this.#success(source, sla.overMs, now), now);
      case 'deadline':
        return judge(sla, this.#deadline(source), now);
      case 'completeness':
        return null;
    }
  }

  #freshness() {
    const { lastAt, lastSuccessAt, sinceAt } = this.#record;
    return { lastAt: lastAt ?? lastSuccessAt, sinceAt: lastAt ?? lastSuccessAt ?? sinceAt };
  }

  #success({ runs }: SlaSource, overMs: number, now: number) {
    const { rate } = this.#record;
    if (runs !== null || rate === null) return successFacts(runs ?? [], overMs, now);
    return { ...sumOf(rate), of: 'records' } as const;
  }

  #deadline({ runs }: SlaSource) {
    const { sinceAt, lastSuccessAt } = this.#record;
    const { times, sla } = this.job;
    const afterMs = sla.kind === 'deadline' && sla.bound.kind === 'after' ? sla.bound.ms : 0;
    const done = Math.max(this.#record.doneUpTo ?? -Infinity, sinceAt);
    return deadlineFacts(runs ?? [], { times, afterMs, doneUpTo: done, lastSuccessAt });
  }
}

function begun(sla: Sla, { totals }: SlaSource, now: number): SlaRecord {
  return {
    kind: sla.kind,
    state: UNKNOWN,
    sinceAt: now,
    nextAt: null,
    lastAt: null,
    outputs: totals?.outputs ?? 0,
    rate:
      sla.kind === 'successRate'
        ? newRateWindow(sla.overMs, totals ?? { total: 0, failed: 0 })
        : null,
    doneUpTo: null,
    lastSuccessAt: null,
  };
}

function verdictText(verdict: SlaChange['verdict']): string {
  if (verdict === null) return 'is not judged';
  return verdict === 'atRisk' ? 'is at risk' : `is ${verdict}`;
}
