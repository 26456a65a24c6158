/**
 * From the rows that alert steps made to what holds now: of each alert (device, job, step, key) the
 * newest row counts. Firing ones first, the most severe first, then the newest. Pure.
 */
import type { AlertItem } from '../api/api-items.ts';

export interface CurrentAlert {
  readonly item: AlertItem;
  readonly firing: boolean;
  /** `info`, `warning`, `critical`. */
  readonly severity: string;
  /** It is about nothing having come. */
  readonly absent: boolean;
  /** The fields of the record that raised or resolved it. */
  readonly fields: readonly (readonly [name: string, value: unknown])[];
}

const SEVERITY_RANK = ['info', 'warning', 'critical'];

export function currentAlerts(items: readonly AlertItem[]): CurrentAlert[] {
  const newest = new Map<string, AlertItem>();
  for (const item of items) {
    const id = JSON.stringify([item.agent, item.job, item.step, item.key]);
    const before = newest.get(id);
    if (before === undefined || isAfter(item, before)) newest.set(id, item);
  }
  return [...newest.values()]
    .map(readAlert)
    .sort(
      (a, b) =>
        Number(b.firing) - Number(a.firing) ||
        (a.firing ? rank(b) - rank(a) : 0) ||
        b.item.time - a.item.time,
    );
}

function isAfter(a: AlertItem, b: AlertItem): boolean {
  return a.time > b.time || (a.time === b.time && a.receivedAt >= b.receivedAt);
}

function rank(alert: CurrentAlert): number {
  return SEVERITY_RANK.indexOf(alert.severity);
}

function readAlert(item: AlertItem): CurrentAlert {
  const value: Record<string, unknown> =
    typeof item.value === 'object' && item.value !== null ? { ...item.value } : {};
  const { status, severity, absent, ...fields } = value;
  return {
    item,
    firing: status === 'firing',
    severity: typeof severity === 'string' ? severity : 'warning',
    absent: absent === true,
    fields: Object.entries(fields),
  };
}
