/**
 * Alerts as the API and the page speak of them. Types only, as live-messages.ts is.
 *
 * `GET /api/v1/alerts?state=&severity=&job=&agent=&source=`, `GET /api/v1/alerts/{id}`,
 * `POST /api/v1/alerts/{id}/acknowledge` (and `unacknowledge`), `GET|POST /api/v1/silences`,
 * `DELETE /api/v1/silences/{id}`, `GET|PUT|DELETE /api/v1/receivers/{name}`,
 * `POST /api/v1/receivers/{name}/test`, `GET /api/v1/notifications`. Times are epoch ms.
 */
export const ALERT_SOURCES = [
  /** An `alert` step of a stream job. */
  'job',
  /** A run of a batch job failed. */
  'run',
  'sla',
  'rollout',
  /** A device is offline, cloned, or waits for approval. */
  'device',
  /** A condition that a device reports: disk, clock, dropped records, sources, … */
  'condition',
] as const;
export type AlertSource = (typeof ALERT_SOURCES)[number];

export const ALERT_STATES = ['firing', 'acknowledged', 'silenced', 'resolved'] as const;
export type AlertState = (typeof ALERT_STATES)[number];

export interface AlertItem {
  readonly id: string;
  readonly source: AlertSource;
  readonly severity: 'info' | 'warning' | 'error';
  readonly state: AlertState;
  /** A few words: what is wrong. */
  readonly title: string;
  /** One or two sentences: the cause. */
  readonly message: string;
  /** What silences and routes match: `source`, `severity`, `job`, `agent`, `site`, labels, …. */
  readonly labels: Readonly<Record<string, string>>;
  /** The agent's id. */
  readonly agent: string | null;
  readonly agentName: string | null;
  readonly job: string | null;
  readonly startedAt: number;
  /** When it was last said again. */
  readonly lastAt: number;
  readonly endedAt: number | null;
  /** How often it was said. */
  readonly count: number;
  readonly acknowledgedBy: string | null;
  /** The silence that holds it back. */
  readonly silencedBy: string | null;
  /** Path on the page where a person sees more: `/jobs/bearing-health`. */
  readonly link: string;
}

export interface SilenceItem {
  readonly id: string;
  /** A selector over an alert's labels. */
  readonly selector: string;
  readonly from: number;
  readonly until: number;
  readonly comment: string;
  readonly by: string;
}

export type ReceiverKind = 'webhook' | 'email' | 'slack' | 'alertmanager';

export interface ReceiverItem {
  readonly name: string;
  readonly kind: ReceiverKind;
  /** Alerts that it gets: a selector over their labels; empty for all. */
  readonly selector: string;
  /** The least severity that it gets. */
  readonly severity: AlertItem['severity'];
  /** Whether it is told when an alert ends. */
  readonly sendResolved: boolean;
  /** Secrets that are set, and where they come from: `env NAME`, `file NAME`, `stored`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Settings without secrets. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly lastSentAt: number | null;
  readonly lastError: string | null;
}

export interface NotificationItem {
  readonly id: string;
  readonly receiver: string;
  readonly at: number;
  readonly alerts: readonly string[];
  /** `failed`: given up. */
  readonly outcome: 'sent' | 'retrying' | 'failed';
  readonly attempts: number;
  readonly error: string | null;
}
