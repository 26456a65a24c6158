/**
 * Alerts that stream jobs raise: rows of the store, each taken exactly once.
 *
 * The id up to which rows were taken is written in the transaction that changes the alerts, so that
 * no crash takes a row twice or passes one by. A row fires or resolves the alert of its job,
 * device, step and key; a row that says neither (of a step that is no alert step) is a message: it
 * fires, and ends when it was not said again for an hour.
 */
import { limits } from '@runnel/shared/limits.ts';
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Kysely } from 'kysely';
import type { AgentRecord } from '../store/agents.ts';
import { alertsAfter, type ResultRecord } from '../store/results.ts';
import type { Schema } from '../store/schema.ts';
import { readSetting, writeSetting } from '../store/settings.ts';
import type { AlertBook, AlertDraft } from './alert-book.ts';
import type { AlertSeverity } from './alert-state.ts';
import { labelValue } from './device-findings.ts';
import { agentLabels, type Finding, fingerprintOf, jobLink } from './finding.ts';

const CURSOR = 'alerts.rows';
const MESSAGE_MS = 3_600_000;

export interface JobRowsParts {
  readonly db: Kysely<Schema>;
  readonly book: AlertBook;
  readonly clock: Clock;
  readonly agent: (id: string) => AgentRecord | undefined;
}

export class JobRows {
  readonly #parts: JobRowsParts;
  #cursor: number;

  static async open(parts: JobRowsParts): Promise<JobRows> {
    return new JobRows(parts, Number((await readSetting(parts.db, CURSOR)) ?? 0));
  }

  private constructor(parts: JobRowsParts, cursor: number) {
    this.#parts = parts;
    this.#cursor = cursor;
  }

  /** Takes what is new; `pause` lets other work run between the steps of a long walk. */
  async take(pause: () => Promise<void>): Promise<void> {
    const { db, book, clock } = this.#parts;
    for (;;) {
      const step = await alertsAfter(db, this.#cursor);
      if (step === undefined) return;
      const { items, next } = step;
      const now = clock.now();
      // Ids without alerts are passed in memory: after a crash they are looked at again.
      if (items.length > 0) {
        await book.commit(
          (draft) => {
            for (const row of items) this.#apply(draft, row, now);
          },
          (transaction) => writeSetting(transaction, CURSOR, String(next)),
        );
      }
      this.#cursor = next;
      await pause();
    }
  }

  /** Ends messages that were not said again. */
  async endMessages(): Promise<void> {
    const { book, clock } = this.#parts;
    const now = clock.now();
    const over = [...book.openAlerts()].filter(
      ({ source, labels, lastAt }) =>
        source === 'job' && labels.status === 'message' && now - lastAt >= MESSAGE_MS,
    );
    if (over.length === 0) return;
    await book.commit((draft) => {
      for (const { fingerprint } of over) draft.resolve(fingerprint, now);
    });
  }

  #apply(draft: AlertDraft, row: ResultRecord, now: number): void {
    const agent = this.#parts.agent(row.agent);
    // What a device said that is no longer one of ours has nobody to mend it.
    if (agent === undefined || agent.status === 'revoked') return;
    const finding = rowFinding(row, agent);
    // A device whose clock is ahead must not begin alerts in the future.
    const at = Math.min(row.time, now);
    if (statusOf(row) === 'resolved') draft.resolve(finding.fingerprint, at);
    else draft.fire(finding, at);
  }
}

const SEVERITIES: Readonly<Record<string, AlertSeverity>> = {
  info: 'info',
  warning: 'warning',
  critical: 'error',
  error: 'error',
};

export function rowFinding(row: ResultRecord, agent: AgentRecord): Finding {
  const { job, step, key } = row;
  const fields = fieldsOf(row);
  const absent = fields.absent === true ? 'absent' : '';
  const keyText = key === null ? '' : typeof key === 'string' ? key : canonicalJson(key);
  const of = keyText === '' ? '' : ` for ${keyText}`;
  return {
    fingerprint: fingerprintOf('job', job, row.agent, step, canonicalJson(key), absent),
    source: 'job',
    severity: SEVERITIES[String(fields.severity)] ?? 'warning',
    title: `${job}: ${absent === '' ? step : `${step} hears nothing`}${of}`.slice(0, 200),
    message: `On ${agent.name}: ${valuesText(fields)}`.slice(0, limits.alertTextCharsMax),
    labels: {
      ...agentLabels(agent),
      job,
      step,
      ...(keyText === '' ? {} : { key: labelValue(keyText) }),
      ...(statusOf(row) === 'message' ? { status: 'message' } : {}),
    },
    agent: row.agent,
    job,
    link: jobLink(job),
  };
}

function statusOf(row: ResultRecord): 'firing' | 'resolved' | 'message' {
  if (row.value === null) return 'resolved';
  const { status } = fieldsOf(row);
  return status === 'firing' || status === 'resolved' ? status : 'message';
}

function fieldsOf({ value }: ResultRecord): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : { value };
}

/** `p95 0.91, machine p1`: what the record says, without what the alert itself says. */
function valuesText(fields: Readonly<Record<string, unknown>>): string {
  const said = Object.entries(fields).filter(
    ([name]) => name !== 'status' && name !== 'severity' && name !== 'absent',
  );
  const text = said
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : shortJson(value)}`)
    .join(', ');
  return text === '' ? 'no more is said' : text;
}

function shortJson(value: unknown): string {
  if (typeof value === 'number') return String(Number(value.toPrecision(6)));
  return (JSON.stringify(value) ?? '').slice(0, 100);
}
