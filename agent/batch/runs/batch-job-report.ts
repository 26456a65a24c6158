/** What the agent tells of its batch jobs: heartbeat, `status`, metrics. */
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { BatchReport } from '@runnel/shared/protocol/runs.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { BatchJobRecord } from './job-record.ts';
import type { RunSet } from './run-set.ts';
import type { RunStarter } from './run-starter.ts';
import type { Schedules } from './schedules.ts';

const NO_RECORDS = {
  watermark: null,
  lagRecords: 0,
  recordsIn: 0,
  recordsOut: 0,
  late: 0,
  dropped: {},
  stateKeys: 0,
} as const;

export function batchJobReports(
  jobs: BatchJobs,
  runs: RunSet,
  schedules: Schedules,
  starter: RunStarter,
): JobReport[] {
  const running = [...jobs.hosts.values()].map((host) =>
    hostReport(host, batchReport(host, runs, schedules, starter)),
  );
  const without = [...jobs.withoutVersion].map(([name, attempted]): JobReport => {
    const { phase } = attempted;
    const told = { attempted: shown(attempted), deadLetters: 0 };
    return { name, version: null, phase, ...told, ...NO_RECORDS };
  });
  return [...running, ...without];
}

function hostReport(host: BatchJobHost, batch: BatchReport): JobReport {
  const { name, record, facts, unreadable } = host;
  const { paused, version, attempted, deadLetters, deadLettersBy } = record;
  return {
    name,
    version,
    phase: facts === null ? 'failed' : paused ? 'paused' : 'running',
    attempted:
      unreadable === null
        ? attempted && shown(attempted)
        : { version, phase: 'failed', reason: unreadable, at: record.lastRun?.endedAt ?? 0 },
    ...NO_RECORDS,
    deadLetters,
    deadLettersBy: { ...deadLettersBy },
    batch,
  };
}

function batchReport(
  { name, record }: BatchJobHost,
  runs: RunSet,
  schedules: Schedules,
  starter: RunStarter,
): BatchReport {
  const waits = starter.waits(name);
  const open = runs.open(name).map((each) => runs.runOf(each));
  return {
    nextAt: schedules.nextAt(name),
    activeRuns: open.filter(({ state }) => state === 'running').length,
    queuedRuns: open.filter(({ state }) => state === 'queued').length,
    ...(waits !== undefined && { waits }),
    lastRun: record.lastRun,
    lastSuccessAt: record.lastSuccessAt,
    skipped: { ...record.skipped },
    ended: { ...record.ended },
  };
}

function shown(attempted: NonNullable<BatchJobRecord['attempted']>): JobReport['attempted'] {
  const { version, phase, reason, at } = attempted;
  return { version, phase, reason, at };
}
