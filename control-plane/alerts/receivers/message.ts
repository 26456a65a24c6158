/** What a receiver is sent, whatever its kind, and its texts for people. Pure. */
import type { AlertItem } from '../../http/alert-messages.ts';

import type { AlertRecord } from '../../store/alerts.ts';
import type { AlertSeverity } from '../alert-state.ts';

export interface Message {
  /** The same in every attempt: who gets it twice can tell. */
  readonly id: string;
  readonly receiver: string;
  readonly at: number;
  readonly firing: readonly AlertItem[];
  readonly resolved: readonly AlertItem[];
  /** Firing ones that are not in the list. */
  readonly more: number;
  /** With which severity those of them were told before that were told before. */
  readonly was: ReadonlyMap<string, AlertSeverity>;
  /** Where the page is, without a slash at its end; empty when nobody said. */
  readonly page: string;
}

/** In the text for people; the rest is told as a number. */
const SHOWN_MAX = 20;

export function alertItem(record: AlertRecord): AlertItem {
  const { alert: id, fingerprint: _, ...shared } = record;
  const { labels, source, severity, agent } = record;
  const agentName = agent === null ? null : (labels.agent ?? agent);
  return { id, ...shared, labels: { ...labels, source, severity }, agentName };
}

/** One line: `ERROR: press-1 is offline, and 2 more`. */
export function subjectOf({ firing, resolved, more }: Message): string {
  const [first] = firing;
  if (first === undefined) {
    const [ended] = resolved;
    const others = resolved.length > 1 ? `, and ${resolved.length - 1} more` : '';
    return `Resolved: ${ended?.title ?? 'no alerts'}${others}`;
  }
  const count = firing.length + more;
  const others = count > 1 ? `, and ${count - 1} more` : '';
  return `${first.severity.toUpperCase()}: ${first.title}${others}`;
}

export function linesOf(message: Message): string[] {
  const { firing, resolved, more } = message;
  const shown = firing.slice(0, SHOWN_MAX);
  const ended = resolved.slice(0, SHOWN_MAX);
  const hidden = firing.length - shown.length + more;
  const hiddenEnded = resolved.length - ended.length;
  return [
    ...shown.map((alert) => `${alert.severity.toUpperCase()} ${lineOf(alert, message)}`),
    ...(hidden > 0 ? [`and ${hidden} more of the same group`] : []),
    ...ended.map((alert) => `RESOLVED ${lineOf(alert, message)}`),
    ...(hiddenEnded > 0 ? [`and ${hiddenEnded} more that are resolved`] : []),
  ];
}

function lineOf({ title, message, startedAt, link }: AlertItem, { page }: Message): string {
  const since = new Date(startedAt).toISOString().replace('.000Z', 'Z');
  const where = page === '' ? '' : ` ${page}${link}`;
  return `${title} (since ${since}): ${message}${where}`;
}
