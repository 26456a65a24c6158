/** What the parts of the control plane count, as Prometheus families. */
import type { Alerting } from './alerts/alerting.ts';
import type { FleetView } from './http/fleet-view.ts';
import { gauge, type MetricFamily, type MetricSample } from './http/metrics.ts';
import type { EventWriter } from './intake/event-writer.ts';
import type { FleetHealth } from './intake/fleet-health.ts';
import type { Intake } from './intake/intake.ts';
import type { ConnectedNats } from './connect-nats.ts';
import type { RunFacts } from './runs/run-facts.ts';
import type { Slas } from './sla/slas.ts';
import type { Retention } from './store/retention.ts';

export interface CountingParts {
  readonly fleet: FleetView;
  readonly health: FleetHealth;
  readonly intake: Intake;
  readonly events: EventWriter;
  readonly retention: Retention;
  readonly runs: RunFacts;
  readonly slas: Slas;
  readonly nats: ConnectedNats;
  readonly alerting: Alerting;
}

export function partMetrics(parts: CountingParts): MetricFamily[] {
  const { intake, health, events, nats } = parts;
  const { counters, writer } = intake;
  return [
    ...fleetMetrics(parts),
    counter('runnel_heartbeats_total', 'Heartbeats taken.', health.counters.heartbeats),
    counter(
      'runnel_heartbeats_replayed_total',
      'Heartbeats that came twice or late.',
      health.counters.replayed,
    ),
    byLabel('runnel_intake_requests_total', 'Requests of agents.', 'kind', counters.requests),
    byLabel(
      'runnel_intake_dropped_total',
      'Messages of agents that were refused, by reason.',
      'reason',
      counters.droppedByReason,
    ),
    byLabel(
      'runnel_intake_blocks_total',
      'Result blocks, by what became of them.',
      'outcome',
      Object.entries(counters.blocks),
    ),
    counter('runnel_intake_rows_total', 'Rows that came into the store.', counters.rows),
    counter(
      'runnel_intake_rows_resent_total',
      'Rows that came again and were not stored again.',
      counters.rowsResent,
    ),
    counter('runnel_intake_lost_rows_total', 'Rows that agents declared lost.', counters.lost),
    counter('runnel_intake_commits_total', 'Commits of result blocks.', writer.counters.commits),
    counter(
      'runnel_intake_commit_seconds_total',
      'Time spent in commits of result blocks.',
      writer.counters.commitMs / 1000,
    ),
    gauge('runnel_intake_waiting_bytes', 'Result blocks that wait.', writer.waitingBytes),
    counter('runnel_events_written_total', 'Events written.', events.counters.written),
    counter('runnel_events_dropped_total', 'Events lost.', events.counters.dropped),
    counter(
      'runnel_intake_run_reports_refused_total',
      'Reports of runs that did not parse.',
      counters.runReportsRefused,
    ),
    ...parts.runs.families(),
    ...parts.slas.families(),
    ...retentionMetrics(parts),
    ...alertMetrics(parts),
    gauge('runnel_nats_connected', 'Whether NATS is connected.', nats.link.connected ? 1 : 0),
    counter('runnel_nats_reconnects_total', 'Reconnections.', nats.link.counters.reconnects),
    counter(
      'runnel_nats_handler_errors_total',
      'Messages whose handling failed.',
      nats.link.counters.handlerErrors,
    ),
    counter(
      'runnel_nats_server_restarts_total',
      'How often the own nats-server had to be started again.',
      nats.server?.restarts ?? 0,
    ),
  ];
}

function alertMetrics({ alerting }: CountingParts): MetricFamily[] {
  const { book, notifier, counters } = alerting;
  const open = new Map<string, { labels: Record<string, string>; value: number }>();
  for (const { source, state, severity } of book.openAlerts()) {
    const labels = { source, state, severity };
    const key = Object.values(labels).join(' ');
    open.set(key, { labels, value: (open.get(key)?.value ?? 0) + 1 });
  }
  const { sent, retried, gaveUp } = notifier.counters;
  return [
    {
      name: 'runnel_alerts_open',
      help: 'Alerts that are open.',
      type: 'gauge',
      samples: [...open.values()],
    },
    byLabel('runnel_alerts_opened_total', 'Alerts that began.', 'source', book.counters.opened),
    counter('runnel_alerts_resolved_total', 'Alerts that ended.', book.counters.resolved),
    counter('runnel_alerts_refused_total', 'Alerts for which no room was.', book.counters.refused),
    counter('runnel_alerts_turns_total', 'Looks at what is wrong.', counters.turns),
    counter('runnel_alerts_turn_failures_total', 'Looks that failed.', counters.turnFailures),
    byLabel('runnel_notifications_total', 'Attempts to tell receivers, by outcome.', 'outcome', [
      ['sent', sent],
      ['retrying', retried],
      ['failed', gaveUp],
    ]),
  ];
}

function retentionMetrics({ retention }: CountingParts): MetricFamily[] {
  const { deleted, failures } = retention.counters;
  const samples = Object.entries(deleted).flatMap(([table, byReason]) =>
    Object.entries(byReason).map(([reason, value]) => ({ labels: { table, reason }, value })),
  );
  return [
    {
      name: 'runnel_store_deleted_rows_total',
      help: 'Rows that the bounds of the store deleted: by age, by number, or with a newer one.',
      type: 'counter',
      samples,
    },
    counter('runnel_store_sweep_failures_total', 'Sweeps of old rows that failed.', failures),
  ];
}

function fleetMetrics({ fleet }: CountingParts): MetricFamily[] {
  const connections = new Map([
    ['online', 0],
    ['late', 0],
    ['offline', 0],
    ['never', 0],
  ]);
  const statuses = new Map<string, number>();
  let lost = 0;
  let outboxRows = 0;
  for (const record of fleet.agents()) {
    const item = fleet.itemOf(record);
    statuses.set(item.status, (statuses.get(item.status) ?? 0) + 1);
    if (item.status !== 'approved') continue;
    connections.set(item.connection, (connections.get(item.connection) ?? 0) + 1);
    lost += item.outbox?.lost ?? 0;
    outboxRows += item.outbox?.rows ?? 0;
  }
  const jobs = fleet.jobItems();
  const perJob = (which: 'desired' | 'running' | 'failed', help: string): MetricFamily =>
    byLabel(
      `runnel_job_agents_${which}`,
      help,
      'job',
      jobs.map((job) => [job.name, job.agents[which]] as const),
      'gauge',
    );
  return [
    byLabel('runnel_agents', 'Approved agents by connection.', 'connection', connections, 'gauge'),
    byLabel('runnel_agents_enrolled', 'Agents by status.', 'status', statuses, 'gauge'),
    gauge('runnel_outbox_rows', 'Rows that wait on devices, as last reported.', outboxRows),
    gauge('runnel_outbox_lost_rows', 'Rows that devices had to drop.', lost),
    perJob('desired', 'Agents that are to run a job.'),
    perJob('running', 'Agents that run its current version.'),
    perJob('failed', 'Agents where its current version failed.'),
  ];
}

function counter(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'counter', samples: [{ value }] };
}

function byLabel(
  name: string,
  help: string,
  label: string,
  values: Iterable<readonly [string, number]>,
  type: MetricFamily['type'] = 'counter',
): MetricFamily {
  const samples: MetricSample[] = [...values].map(([key, value]) => ({
    labels: { [label]: key },
    value,
  }));
  return { name, help, type, samples };
}
