import { describe, expect, test } from 'vitest';
import type { AgentItem, ConditionItem } from '@runnel/control-plane/http/live-messages.ts';
import { attentionOf } from '@runnel/control-plane/dashboard/fleet/attention.ts';
import { readSelector, withTerm } from '@runnel/control-plane/dashboard/fleet/fleet-selector.ts';
import { readFilter, writeFilter } from '@runnel/control-plane/dashboard/fleet/filter-query.ts';
import {
  countFleet,
  type FleetFilter,
  labelCounts,
  noFilter,
  selectRows,
  summariseJobs,
} from '@runnel/control-plane/dashboard/fleet/fleet-view.ts';
import { rowWindow } from '@runnel/control-plane/dashboard/fleet/row-window.ts';
import { sampleAgent } from './sample-agent.ts';

const full: ConditionItem = {
  type: 'storage',
  axis: 'storage',
  severity: 'error',
  reason: 'Full',
  message: 'The disk is full',
  since: 1,
};
const running = {
  name: 'j',
  version: 1,
  phase: 'running',
  desiredVersion: 1,
  attempted: null,
  notPlaced: null,
  failedRun: null,
};

const fleet: readonly AgentItem[] = [
  sampleAgent({ id: 'ok-10', labels: { site: 'lyon' }, jobs: [running] }),
  sampleAgent({ id: 'ok-9', labels: { site: 'turin' } }),
  sampleAgent({ id: 'late', connection: 'late' }),
  sampleAgent({ id: 'full', conditions: [full] }),
  sampleAgent({ id: 'gone', connection: 'offline' }),
  sampleAgent({ id: 'new', connection: 'never', lastSeenAt: null }),
  sampleAgent({ id: 'asks', status: 'pending', connection: 'never' }),
  sampleAgent({ id: 'out', status: 'revoked', connection: 'offline' }),
];

function ids(filter: Partial<FleetFilter>): string[] {
  return selectRows(fleet, { ...noFilter, ...filter }).map((row) => row.agent.id);
}

describe('the list of devices', () => {
  test('shows the worst first, then by name with numbers as numbers', () => {
    expect(ids({})).toEqual(['gone', 'full', 'asks', 'late', 'new', 'ok-9', 'ok-10']);
  });

  test('leaves revoked devices out unless they are asked for', () => {
    expect(ids({ facet: 'revoked' })).toEqual(['out']);
  });

  test('keeps to one state of connection', () => {
    expect(ids({ facet: 'online', sort: 'name' })).toEqual(['full', 'ok-9', 'ok-10']);
    expect(ids({ facet: 'never' })).toEqual(['new']);
  });

  test('counts as needing attention: errors, warnings, approvals, and nothing else', () => {
    expect(ids({ facet: 'attention' })).toEqual(['gone', 'full', 'asks', 'late']);
  });

  test('finds every word anywhere: name, label, job', () => {
    expect(ids({ search: 'OK lyon' })).toEqual(['ok-10']);
    expect(ids({ search: 'site=turin' })).toEqual(['ok-9']);
    expect(ids({ search: 'nothing-like-it' })).toEqual([]);
  });

  test('labels must all hold', () => {
    expect(ids({ selector: 'site=lyon' })).toEqual(['ok-10']);
    expect(ids({ selector: 'site in (lyon, turin), arch in (x64)' })).toEqual(['ok-9', 'ok-10']);
    expect(ids({ selector: 'site, arch in (arm64)' })).toEqual([]);
    expect(ids({ selector: 'site=lyon and role=press' })).toEqual([]);
    expect(ids({ selector: '!site' })).not.toContain('ok-9');
  });

  test('a selector that cannot be read chooses nothing away, and says what is wrong', () => {
    for (const bad of ['site in (lyon', 'site=(', 'capability/task/sql']) {
      expect(readSelector(bad), bad).toHaveProperty('problem');
      expect(ids({ selector: bad }), bad).toEqual(ids({}));
    }
    expect(withTerm(' site=lyon ', 'role=press')).toBe('site=lyon,role=press');
    expect(withTerm('', 'role=press')).toBe('role=press');
  });

  test('an axis keeps those that are not well on it, the worst first, then the unknown', () => {
    expect(ids({ axis: 'storage' })).toEqual(['full', 'gone', 'asks', 'new']);
    expect(ids({ axis: 'connection' })).toEqual(['gone', 'asks', 'late', 'new']);
    expect(ids({ axis: 'storage', selector: 'name=full' })).toEqual(['full']);
  });

  test('the longest silent first: never seen is the longest', () => {
    expect(ids({ sort: 'lastSeen' })[0]).toBe('new');
  });

  test('every device is counted once among the states', () => {
    const counts = countFleet(fleet);
    expect(counts).toEqual({
      all: 7,
      attention: 4,
      online: 3,
      late: 1,
      offline: 1,
      never: 1,
      pending: 1,
      revoked: 1,
    });
  });

  test('labels are counted over devices that are not revoked, by key and value', () => {
    expect(labelCounts(fleet)).toEqual([
      ['site=lyon', 1],
      ['site=turin', 1],
    ]);
  });

  test('10,000 devices are sorted and filtered once a second with time to spare', () => {
    const many = Array.from({ length: 10_000 }, (_, index) =>
      sampleAgent({ id: `press-${index}`, connection: index % 50 === 0 ? 'late' : 'online' }),
    );
    selectRows(many, noFilter);
    const began = performance.now();
    expect(selectRows(many, { ...noFilter, search: 'press' })).toHaveLength(10_000);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('what is wrong with a device', () => {
  test('the worst cause comes first and says since when', () => {
    const { level, causes } = attentionOf(
      sampleAgent({ id: 'x', connection: 'late', conditions: [full] }),
    );
    expect(level).toBe('error');
    expect(causes.map((cause) => cause.text)).toEqual(['The disk is full', 'Heartbeats are late']);
    expect(causes[0]?.since).toBe(1);
  });

  test('an old version that runs while the new one is refused needs a person', () => {
    const attempted = { version: 2, phase: 'refused', reason: 'policy: no http', at: 7 };
    const agent = sampleAgent({ id: 'x', jobs: [{ ...running, desiredVersion: 2, attempted }] });
    expect(attentionOf(agent)).toMatchObject({
      level: 'error',
      causes: [{ text: 'j: policy: no http', since: 7 }],
    });
  });

  test('a job whose condition says it already is not said twice', () => {
    const agent = sampleAgent({
      id: 'x',
      jobs: [{ ...running, phase: 'failed' }],
      conditions: [{ ...full, type: 'jobs/j', axis: 'jobs', message: 'j fails' }],
    });
    expect(attentionOf(agent).causes.map((cause) => cause.text)).toEqual(['j fails']);
  });

  test('a revoked device needs nobody', () => {
    expect(attentionOf(sampleAgent({ id: 'x', status: 'revoked', conditions: [full] }))).toEqual({
      level: 'revoked',
      causes: [],
    });
  });

  test('jobs are summed up by phase, broken ones first', () => {
    const jobs = [running, { ...running, phase: 'failed' }, running];
    expect(summariseJobs(sampleAgent({ id: 'x', jobs }))).toEqual({
      text: '1 failed · 2 running',
      broken: true,
    });
  });
});

describe('the filter in the address', () => {
  test('comes back as it was written', () => {
    const filter: FleetFilter = {
      search: 'press & co',
      facet: 'offline',
      selector: 'site in (lyon, turin),a!=b',
      axis: 'storage' as const,
      sort: 'name',
    };
    expect(readFilter(writeFilter(filter))).toEqual(filter);
  });

  test('holds label pairs in the addresses of earlier releases', () => {
    expect(readFilter('?label=site%3Dlyon&label=role%3Dpress').selector).toBe(
      'site=lyon,role=press',
    );
  });

  test('is empty when nothing is filtered, and ignores what it does not know', () => {
    expect(writeFilter(noFilter)).toBe('');
    expect(readFilter('?state=constructor&sort=sideways')).toEqual(noFilter);
  });
});

describe('the rendered rows of a long list', () => {
  test('are those in sight and a few beyond', () => {
    expect(rowWindow(10_000, 46, 46 * 500, 900)).toEqual({ first: 492, end: 528 });
  });

  test('never leave the list, wherever the window is scrolled to', () => {
    expect(rowWindow(3, 46, -2000, 900)).toEqual({ first: 0, end: 0 });
    expect(rowWindow(3, 46, 99_999, 900)).toEqual({ first: 3, end: 3 });
    expect(rowWindow(3, 46, -100, 900)).toEqual({ first: 0, end: 3 });
  });
});
