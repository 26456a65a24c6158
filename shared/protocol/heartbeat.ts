/**
 * Heartbeat, agent → control plane, core NATS on `fleet.<agent>.hb`, every `intervalMs`, and the
 * same body on `cp.<agent>.state` at once when a job's state changes.
 */
import { z } from 'zod';
import { condition } from './condition.ts';
import { batchReport } from './runs.ts';
import { slaReport } from './sla.ts';
import { versionField } from './version.ts';

export const JOB_PHASES = [
  'pending',
  'starting',
  'running',
  'catchingUp',
  'backoff',
  'paused',
  'refused',
  'failed',
  'stopped',
] as const;
export const jobPhase = z.enum(JOB_PHASES);
export type JobPhase = z.infer<typeof jobPhase>;

export const jobReport = z.object({
  name: z.string(),
  /** The version that runs, or null when none does. */
  version: z.number().int().nullable(),
  phase: jobPhase,
  /** What was last tried; differs from `version` while a new version cannot start. */
  attempted: z
    .object({ version: z.number().int(), phase: jobPhase, reason: z.string(), at: z.number() })
    .nullable(),
  /** Event-time watermark in epoch ms, null before the first record. */
  watermark: z.number().nullable(),
  /** Records in the journal that this job has not processed. */
  lagRecords: z.number().int(),
  recordsIn: z.number().int(),
  recordsOut: z.number().int(),
  late: z.number().int(),
  deadLetters: z.number().int(),
  /** Dead letters by `<step>: <reason>`. Older agents do not say. */
  deadLettersBy: z.record(z.string(), z.number().int()).optional(),
  /** Dropped records by reason. */
  dropped: z.record(z.string(), z.number().int()),
  stateKeys: z.number().int(),
  /** Of a batch job; its `phase` is `running` while its schedule is kept. */
  batch: batchReport.optional(),
});
export type JobReport = z.infer<typeof jobReport>;

export const sourceReport = z.object({
  id: z.string(),
  kind: z.string(),
  /** What it reads, for people: a topic, a path. Older agents do not say. */
  label: z.string().optional(),
  connected: z.boolean(),
  records: z.number().int(),
  bytes: z.number().int(),
  redelivered: z.number().int(),
  dropped: z.record(z.string(), z.number().int()),
  error: z.string().nullable(),
});
export type SourceReport = z.infer<typeof sourceReport>;

/** Readings of the device itself; null where the platform does not offer one. */
export const hostReport = z.object({
  cpuPercent: z.number().nullable(),
  memoryUsedBytes: z.number().nullable(),
  memoryTotalBytes: z.number().nullable(),
  diskUsedBytes: z.number().nullable(),
  diskTotalBytes: z.number().nullable(),
  temperatureCelsius: z.number().nullable(),
  load1: z.number().nullable(),
  agentRssBytes: z.number(),
  agentCpuPercent: z.number().nullable(),
});
export type HostReport = z.infer<typeof hostReport>;

export const heartbeat = z.object({
  v: versionField,
  agent: z.string(),
  /** Random id of this agent process: two that alternate mean a cloned identity. */
  epoch: z.string(),
  /** Counts up from 1 within the epoch. */
  seq: z.number().int(),
  sentAt: z.number(),
  startedAt: z.number(),
  intervalMs: z.number().int(),
  agentVersion: z.string(),
  platform: z.object({ os: z.string(), arch: z.string(), node: z.string() }),
  capabilities: z.array(z.string()),
  /**
   * JSON text of a `policyReport`: what the device allows jobs. Text, so that a control plane
   * parses it when it changes and not with every beat. Absent: not known (an older agent, or one
   * whose policy is larger than `policyReportBytesMax`); then the device alone judges.
   */
  policy: z.string().optional(),
  /** Desired state that is applied. */
  observedRevision: z.number().int(),
  observedHash: z.string(),
  conditions: z.array(condition),
  jobs: z.array(jobReport),
  sources: z.array(sourceReport),
  outbox: z.object({
    rows: z.number().int(),
    bytes: z.number().int(),
    oldestAt: z.number().nullable(),
    lost: z.number().int(),
  }),
  counters: z.record(z.string(), z.number()),
  /** Verdicts on what its jobs promise. Older agents, and those without promises, do not say. */
  slas: z.array(slaReport).optional(),
  host: hostReport,
});
export type Heartbeat = z.infer<typeof heartbeat>;
