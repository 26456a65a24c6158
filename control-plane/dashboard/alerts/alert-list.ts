/** Filters and order of alerts, and the filter as the query of an address. Pure. */
import type { AlertItem, AlertSource } from '../../http/alert-messages.ts';
import { SEVERITY_WORDS, SOURCE_WORDS } from './alert-look.ts';

export interface AlertFilter {
  readonly severity: AlertItem['severity'] | null;
  readonly source: AlertSource | null;
  readonly search: string;
}

export const noAlertFilter: AlertFilter = { severity: null, source: null, search: '' };

export function readAlertFilter(query: string): AlertFilter {
  const params = new URLSearchParams(query);
  return {
    severity: SEVERITY_WORDS.find((each) => each === params.get('severity')) ?? null,
    source: SOURCE_WORDS.find((each) => each === params.get('source')) ?? null,
    search: params.get('q') ?? '',
  };
}

export function writeAlertFilter({ severity, source, search }: AlertFilter): string {
  const params = new URLSearchParams({
    ...(severity === null ? {} : { severity }),
    ...(source === null ? {} : { source }),
    ...(search === '' ? {} : { q: search }),
  });
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

export function isOpen({ state }: Pick<AlertItem, 'state'>): boolean {
  return state !== 'resolved';
}

/** Every word must occur somewhere in what the alert says. */
export function matchesAlert(alert: AlertItem, filter: AlertFilter): boolean {
  if (filter.severity !== null && alert.severity !== filter.severity) return false;
  if (filter.source !== null && alert.source !== filter.source) return false;
  const { title, message, job, agentName } = alert;
  const labels = Object.entries(alert.labels).map(([key, value]) => `${key}=${value}`);
  const haystack = [title, message, job, agentName, ...labels].join('\n').toLowerCase();
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => haystack.includes(word));
}

const STATE_ORDER: readonly AlertItem['state'][] = [
  'firing',
  'acknowledged',
  'silenced',
  'resolved',
];

/** What fires first, the most severe first, then the newest; what is over by when it ended. */
export function sortAlerts(alerts: readonly AlertItem[]): AlertItem[] {
  return [...alerts].sort(
    (a, b) =>
      STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) ||
      (isOpen(a) ? SEVERITY_WORDS.indexOf(a.severity) - SEVERITY_WORDS.indexOf(b.severity) : 0) ||
      (b.endedAt ?? b.startedAt) - (a.endedAt ?? a.startedAt) ||
      (a.id < b.id ? -1 : 1),
  );
}

/** What of an alert's labels says which trouble it is, and not how bad. */
const SAME_TROUBLE = ['source', 'job', 'agent', 'condition', 'sla'] as const;

/** A selector that takes this alert and those like it: what a silence is proposed with. */
export function silenceSelector({ labels }: Pick<AlertItem, 'labels'>): string {
  return SAME_TROUBLE.filter((key) => labels[key] !== undefined)
    .map((key) => `${key}=${labels[key] ?? ''}`)
    .join(',');
}
