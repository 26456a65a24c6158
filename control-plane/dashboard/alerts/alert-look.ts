/** How alerts look, and what their sources are called. Pure. */
import type { AlertItem, AlertSource, AlertState } from '../../http/alert-messages.ts';
import type { Look } from '../parts/look.ts';

const SEVERITIES: Readonly<Record<AlertItem['severity'], Look>> = {
  error: { shape: 'square', tone: 'error', word: 'Error' },
  warning: { shape: 'triangle', tone: 'warning', word: 'Warning' },
  info: { shape: 'ring', tone: 'info', word: 'Note' },
};

const STATES: Readonly<Record<Exclude<AlertState, 'firing'>, Look>> = {
  acknowledged: { shape: 'half', tone: 'quiet', word: 'Acknowledged' },
  silenced: { shape: 'slash', tone: 'quiet', word: 'Silenced' },
  resolved: { shape: 'disc', tone: 'quiet', word: 'Resolved' },
};

const SOURCES: Readonly<Record<AlertSource, string>> = {
  job: 'job',
  run: 'run',
  sla: 'SLA',
  rollout: 'rollout',
  device: 'device',
  condition: 'condition',
};

/** Worst first, as filters show them. */
export const SEVERITY_WORDS = Object.keys(SEVERITIES) as readonly AlertItem['severity'][];
export const SOURCE_WORDS = Object.keys(SOURCES) as readonly AlertSource[];

/** While it fires its severity counts; after that, what became of it. */
export function alertLook({ state, severity }: Pick<AlertItem, 'severity' | 'state'>): Look {
  return state === 'firing' ? SEVERITIES[severity] : STATES[state];
}

export function severityLookOf(severity: AlertItem['severity']): Look {
  return SEVERITIES[severity];
}

export function sourceWord(source: AlertSource): string {
  return SOURCES[source];
}
