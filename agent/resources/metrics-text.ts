/**
 * Prometheus text of a running agent (exposition format 0.0.4). Names end in their unit, counters
 * in `_total`; label values are escaped; no label has unbounded values but job and source names,
 * which desired state bounds, and the steps and reasons of dead letters, which the report bounds.
 */
import { splitDeadLetterKey } from '@runnel/shared/protocol/dead-letter-key.ts';
import type { BatchReport } from '@runnel/shared/protocol/runs.ts';
import type { AgentState } from '../sync/heartbeat.ts';

type LabelValues = Readonly<Record<string, string>>;

export interface MetricsInput {
  readonly state: AgentState;
  readonly version: string;
  readonly startedAt: number;
  readonly connected: boolean;
}

export function metricsText({ state, version, startedAt, connected }: MetricsInput): string {
  const page = new Page();
  page.gauge('runnel_agent_info', 'The release.', 1, { version });
  page.gauge('runnel_agent_start_time_seconds', 'When it started.', startedAt / 1000);
  page.gauge(
    'runnel_agent_connected',
    '1 while connected to the control plane.',
    Number(connected),
  );
  page.gauge('runnel_agent_observed_revision', 'Desired state.', state.observedRevision);
  hostMetrics(page, state);
  outboxMetrics(page, state);
  for (const condition of state.conditions) {
    const { type, severity, reason } = condition;
    page.gauge('runnel_condition', 'Conditions that hold.', 1, { type, severity, reason });
  }
  for (const job of state.jobs) jobMetrics(page, job);
  for (const { job, sla, verdict } of state.slas ?? []) {
    page.gauge('runnel_sla_verdict', '1 for the verdict that stands.', 1, { job, sla, verdict });
  }
  for (const source of state.sources) sourceMetrics(page, source);
  for (const [name, value] of Object.entries(state.counters)) {
    page.counter(`runnel_agent_${snakeCase(name)}_total`, 'Counter of the agent.', value);
  }
  return page.text();
}

function hostMetrics(page: Page, { host }: AgentState): void {
  const readings = {
    host_cpu_percent: host.cpuPercent,
    host_memory_used_bytes: host.memoryUsedBytes,
    host_memory_total_bytes: host.memoryTotalBytes,
    host_disk_used_bytes: host.diskUsedBytes,
    host_disk_total_bytes: host.diskTotalBytes,
    host_temperature_celsius: host.temperatureCelsius,
    host_load1: host.load1,
    agent_resident_memory_bytes: host.agentRssBytes,
    agent_cpu_percent: host.agentCpuPercent,
  };
  for (const [name, value] of Object.entries(readings)) {
    if (value !== null) page.gauge(`runnel_${name}`, 'Reading of the device.', value);
  }
}

function outboxMetrics(page: Page, { outbox }: AgentState): void {
  page.gauge('runnel_outbox_rows', 'Rows that wait for the control plane.', outbox.rows);
  page.gauge('runnel_outbox_bytes', 'Bytes of these rows.', outbox.bytes);
  page.counter('runnel_outbox_lost_total', 'Rows dropped by the bound.', outbox.lost);
}

function jobMetrics(page: Page, report: AgentState['jobs'][number]): void {
  const job = { job: report.name };
  page.gauge('runnel_job_phase', '1 for the phase it is in.', 1, { ...job, phase: report.phase });
  if (report.batch !== undefined) {
    batchMetrics(page, report.name, report.batch);
    deadLetterMetrics(page, report);
    return;
  }
  page.counter('runnel_job_records_in_total', 'Records processed.', report.recordsIn, job);
  page.counter('runnel_job_records_out_total', 'Outputs.', report.recordsOut, job);
  page.counter('runnel_job_late_total', 'Late records.', report.late, job);
  deadLetterMetrics(page, report);
  page.gauge('runnel_job_lag_records', 'Records not processed.', report.lagRecords, job);
  page.gauge('runnel_job_state_keys', 'Keys of state.', report.stateKeys, job);
  for (const [reason, count] of Object.entries(report.dropped)) {
    page.counter('runnel_job_dropped_total', 'Dropped records.', count, { ...job, reason });
  }
}

function batchMetrics(page: Page, name: string, batch: BatchReport): void {
  const job = { job: name };
  page.gauge('runnel_batch_runs_active', 'Runs that are running.', batch.activeRuns, job);
  page.gauge('runnel_batch_runs_queued', 'Runs that wait.', batch.queuedRuns, job);
  for (const [state, count] of Object.entries(batch.ended)) {
    page.counter('runnel_batch_runs_total', 'Runs that ended.', count, { ...job, state });
  }
  for (const [reason, count] of Object.entries(batch.skipped)) {
    const help = 'Times of the schedule that started no run.';
    page.counter('runnel_batch_skipped_total', help, count, { ...job, reason });
  }
  const times = {
    next_time: batch.nextAt,
    last_success_time: batch.lastSuccessAt,
    last_end_time: batch.lastRun?.endedAt ?? null,
  };
  for (const [what, at] of Object.entries(times)) {
    if (at !== null) page.gauge(`runnel_batch_${what}_seconds`, 'Epoch time.', at / 1000, job);
  }
}

/** A sample without step and reason holds what no breakdown tells, so that the sum is the total. */
function deadLetterMetrics(page: Page, report: AgentState['jobs'][number]): void {
  const { name: job, deadLetters, deadLettersBy = {} } = report;
  const metric = 'runnel_job_dead_letters_total';
  let rest = deadLetters;
  for (const [key, count] of Object.entries(deadLettersBy)) {
    page.counter(metric, 'Dead letters.', count, { job, ...splitDeadLetterKey(key) });
    rest -= count;
  }
  page.counter(metric, 'Dead letters.', rest, { job });
}

function sourceMetrics(page: Page, report: AgentState['sources'][number]): void {
  const source = { source: report.id, kind: report.kind };
  page.gauge('runnel_source_connected', '1 while connected.', Number(report.connected), source);
  page.counter('runnel_source_records_total', 'Records taken.', report.records, source);
  page.counter('runnel_source_bytes_total', 'Bytes of these.', report.bytes, source);
  page.counter('runnel_source_redelivered_total', 'Recognised.', report.redelivered, source);
  for (const [reason, count] of Object.entries(report.dropped)) {
    page.counter('runnel_source_dropped_total', 'Dropped records.', count, { ...source, reason });
  }
}

export function snakeCase(name: string): string {
  return name
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

/** Samples of one name must stand together, under one HELP and TYPE. */
class Page {
  readonly #metrics = new Map<string, string[]>();

  gauge(name: string, help: string, value: number, labels: LabelValues = {}): void {
    this.#add(name, help, 'gauge', value, labels);
  }

  counter(name: string, help: string, value: number, labels: LabelValues = {}): void {
    this.#add(name, help, 'counter', value, labels);
  }

  text(): string {
    return `${[...this.#metrics.values()].flat().join('\n')}\n`;
  }

  #add(name: string, help: string, type: string, value: number, labels: LabelValues): void {
    let lines = this.#metrics.get(name);
    if (lines === undefined) {
      lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
      this.#metrics.set(name, lines);
    }
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
    lines.push(`${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`);
  }
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
