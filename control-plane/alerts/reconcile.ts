/**
 * Makes the open alerts of a source what is wrong now. Sources that can be asked what is wrong are
 * asked, rather than trusted to tell every change: nothing that was missed stays missed.
 */
import type { AlertRecord } from '../store/alerts.ts';
import type { AlertDraft } from './alert-book.ts';
import type { Finding } from './finding.ts';

/** A text that changes all the time (a count) is written at most this often. */
const TEXT_EVERY_MS = 60_000;

export interface Judged {
  readonly findings: readonly Finding[];
  /** Fingerprints of which nobody can say anything now: what is open stays as it is. */
  readonly unknown?: ReadonlySet<string>;
}

/** Whether `reconcile` would change anything. */
export function isReconciled(
  open: readonly AlertRecord[],
  { findings, unknown }: Judged,
  at: number,
): boolean {
  const wanted = new Map(findings.map((finding) => [finding.fingerprint, finding]));
  let met = 0;
  for (const record of open) {
    if (unknown?.has(record.fingerprint) === true) continue;
    const finding = wanted.get(record.fingerprint);
    if (finding === undefined || isNews(record, finding, at)) return false;
    met += 1;
  }
  return met === wanted.size;
}

export function reconcile(
  draft: AlertDraft,
  open: readonly AlertRecord[],
  { findings, unknown }: Judged,
  at: number,
): void {
  const wanted = new Set(findings.map(({ fingerprint }) => fingerprint));
  for (const { fingerprint } of open) {
    if (wanted.has(fingerprint) || unknown?.has(fingerprint) === true) continue;
    draft.resolve(fingerprint, at);
  }
  for (const finding of findings) {
    const record = draft.open(finding.fingerprint);
    if (record === undefined || isNews(record, finding, at)) draft.fire(finding, at);
  }
}

function isNews(record: AlertRecord, finding: Finding, at: number): boolean {
  if (record.severity !== finding.severity || record.title !== finding.title) return true;
  if (JSON.stringify(record.labels) !== JSON.stringify(finding.labels)) return true;
  return record.message !== finding.message && at - record.lastAt >= TEXT_EVERY_MS;
}
