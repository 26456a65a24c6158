/** Alerts in the order in which a person takes them, and what a silence is proposed with. */
import { expect, test } from 'vitest';
import {
  matchesAlert,
  noAlertFilter,
  readAlertFilter,
  silenceSelector,
  sortAlerts,
  writeAlertFilter,
} from '@runnel/control-plane/dashboard/alerts/alert-list.ts';
import { movedTo } from '@runnel/control-plane/dashboard/router.ts';
import { sampleAlert } from './sample-fleet.ts';

test('what fires stands first, the most severe, then the newest; what is over by its end', () => {
  const sorted = sortAlerts([
    sampleAlert({ id: 'over-early', state: 'resolved', severity: 'error', endedAt: 10 }),
    sampleAlert({ id: 'over-late', state: 'resolved', severity: 'info', endedAt: 20 }),
    sampleAlert({ id: 'taken', state: 'acknowledged', severity: 'error' }),
    sampleAlert({ id: 'old', startedAt: 1 }),
    sampleAlert({ id: 'new', startedAt: 2 }),
    sampleAlert({ id: 'worst', severity: 'error', startedAt: 0 }),
  ]);
  expect(sorted.map(({ id }) => id)).toEqual([
    ...['worst', 'new', 'old', 'taken'],
    ...['over-late', 'over-early'],
  ]);
});

test('a silence is proposed for the trouble, whatever its severity', () => {
  const labels = { source: 'condition', severity: 'error', agent: 'press-1', condition: 'storage' };
  expect(silenceSelector({ labels })).toBe('source=condition,agent=press-1,condition=storage');
});

test('every word of a search must occur, also in labels', () => {
  const alert = sampleAlert({ id: 'a', title: 'Disk full', labels: { site: 'lyon' } });
  const matches = (search: string): boolean => matchesAlert(alert, { ...noAlertFilter, search });
  expect(matches('disk site=lyon')).toBe(true);
  expect(matches('disk turin')).toBe(false);
});

test('a filter in an address is read as it was written, and nonsense is none', () => {
  const filter = { severity: 'error', source: 'sla', search: 'a b' } as const;
  expect(readAlertFilter(writeAlertFilter(filter))).toEqual(filter);
  expect(readAlertFilter('?severity=x&source=y')).toEqual(noAlertFilter);
});

test('a bookmark of the list of devices leads there, any other address stays', () => {
  expect(movedTo('/', '?state=offline')).toBe('/devices?state=offline');
  expect(movedTo('/', '')).toBeNull();
  expect(movedTo('/', '?utm=1')).toBeNull();
  expect(movedTo('/jobs', '?state=failing')).toBeNull();
});
