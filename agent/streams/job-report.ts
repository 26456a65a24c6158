/** What the agent tells of a job: heartbeat, `status`, metrics. */
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { JobHost } from './job-host.ts';

export function jobReport(host: JobHost, recordsTotal: number): JobReport {
  const totals = host.totals();
  const { attempted, current, name } = host.record;
  const dropped: Record<string, number> = { ...totals.dropped };
  if (totals.skipped > 0) dropped.journal_skipped = totals.skipped;
  return {
    name,
    version: current.version,
    phase: host.phase,
    attempted:
      attempted === null
        ? null
        : {
            version: attempted.version,
            phase: attempted.phase,
            reason: attempted.reason,
            at: attempted.at,
          },
    watermark: host.watermarkMs ?? null,
    lagRecords: Math.max(0, recordsTotal - host.position.records),
    recordsIn: totals.recordsIn,
    recordsOut: totals.recordsOut,
    late: totals.late,
    deadLetters: totals.deadLetters,
    deadLettersBy: { ...totals.deadLettersBy },
    dropped,
    stateKeys: host.stateKeys,
  };
}
