/** What needs a person: one line for one trouble, worst first, alike ones together. */
import { describe, expect, test } from 'vitest';
import type { AlertItem } from '@runnel/control-plane/http/alert-messages.ts';
import type { AttentionItem } from '@runnel/control-plane/http/live-messages.ts';
import {
  type AttentionLine,
  attentionList,
} from '@runnel/control-plane/dashboard/overview/attention-list.ts';
import { sampleAgent } from './sample-agent.ts';
import { sampleAlert, sampleRollout, sampleSla } from './sample-fleet.ts';

const calm: AttentionItem = {
  alerts: [],
  alertsMore: 0,
  slas: [],
  slaCounts: { met: 0, atRisk: 0, breached: 0, unreachable: 0 },
  rollouts: [],
  pending: 0,
};

const heads = (lines: readonly AttentionLine[]): string[] => lines.map(({ what }) => what);

const offline = (id: string) => sampleAgent({ id, connection: 'offline', lastSeenAt: 5000 });

function offlineAlert(agent: string, change: Partial<AlertItem> = {}): AlertItem {
  const labels = { reason: 'offline', agent };
  return sampleAlert({ id: `offline-${agent}`, source: 'device', agent, labels, ...change });
}

describe('what needs attention', () => {
  test('is nothing in a fleet that is well', () => {
    const well = attentionList([sampleAgent({ id: 'a' })], {
      ...calm,
      slas: [sampleSla({ verdict: 'unreachable' })],
      rollouts: [sampleRollout({ phase: 'progressing' })],
    });
    expect(well).toEqual({ open: [], taken: [] });
  });

  test('says of each what, where, since when, why, and leads to where one acts', () => {
    const { open } = attentionList([offline('press-1')], calm);
    expect(open).toMatchObject([
      {
        kind: 'device',
        severity: 'error',
        what: 'press-1 is offline',
        places: [{ text: 'press-1', href: '/devices/press-1' }],
        since: 5000,
        href: '/devices/press-1',
        act: 'See the device',
      },
    ]);
    expect(open[0]?.cause).not.toBe('');
  });

  test('goes from errors over approvals to warnings, rollouts before devices', () => {
    const pending = sampleAgent({ id: 'new', status: 'pending' });
    const late = sampleAgent({ id: 'late', connection: 'late' });
    const { open } = attentionList([late, pending, offline('off')], {
      ...calm,
      slas: [sampleSla({ verdict: 'breached' }), sampleSla({ verdict: 'atRisk', sla: 'fast' })],
      rollouts: [
        sampleRollout({ phase: 'awaitingApproval' }),
        sampleRollout({ phase: 'rolledBack', job: 'k', id: 'other' }),
      ],
      alerts: [sampleAlert({ id: 'hot', title: 'hot: press-3' })],
    });
    expect(heads(open)).toEqual([
      'k version 2 was rolled back',
      'SLA fresh of j is breached',
      'off is offline',
      'new waits for approval',
      'j version 2: batch 2 of 3 waits for approval',
      'SLA fast of j is at risk',
      'hot: press-3',
      'late is late',
    ]);
  });

  test('holds a rollout only when it needs a person', () => {
    const phases = (change: Parameters<typeof sampleRollout>[0]): string[] =>
      heads(attentionList([], { ...calm, rollouts: [sampleRollout(change)] }).open);
    expect(phases({ phase: 'progressing', stuck: false })).toEqual([]);
    expect(phases({ phase: 'progressing', stuck: true })).toHaveLength(1);
    expect(phases({ phase: 'soaking', stuck: false })).toEqual([]);
    expect(phases({ phase: 'suspended' })).toHaveLength(1);
    expect(phases({ phase: 'rollingBack' })).toHaveLength(1);
    expect(phases({ phase: 'succeeded' })).toEqual([]);
    expect(phases({ phase: 'superseded' })).toEqual([]);
  });

  test('tells alike troubles of many devices in one line with their number', () => {
    const agents = ['a', 'b', 'c', 'd', 'e'].map(offline);
    const { open } = attentionList(agents, calm);
    expect(heads(open)).toEqual(['5 devices are offline']);
    expect(open[0]?.places.map(({ text }) => text)).toEqual(['a', 'b', 'c']);
    expect(open[0]).toMatchObject({ placesMore: 2, href: '/devices?state=offline' });
  });

  test('tells of a promise that is broken on several devices once', () => {
    const slas = ['a', 'b'].map((agent, at) =>
      sampleSla({ agent, agentName: agent, verdict: 'breached', since: 100 - at }),
    );
    const { open } = attentionList([], { ...calm, slas });
    expect(open).toMatchObject([{ what: 'SLA fresh of j is breached on 2 devices', since: 99 }]);
  });
});

describe('an alert and what it is about', () => {
  test('are one line, not two', () => {
    const { open } = attentionList([offline('a')], { ...calm, alerts: [offlineAlert('a')] });
    expect(heads(open)).toEqual(['a is offline']);
  });

  test('stand apart once a person acknowledged or silenced it', () => {
    const acknowledged = offlineAlert('a', { state: 'acknowledged', acknowledgedBy: 'ana' });
    const silenced = offlineAlert('b', { state: 'silenced', silencedBy: 's' });
    const { open, taken } = attentionList([offline('a'), offline('b'), offline('c')], {
      ...calm,
      alerts: [acknowledged, silenced],
    });
    expect(heads(open)).toEqual(['c is offline']);
    expect(taken.map((line) => [line.what, line.taken])).toEqual([
      ['a is offline', 'acknowledged'],
      ['b is offline', 'silenced'],
    ]);
  });

  test('of a condition are matched by its type, so that others of the device stay', () => {
    const bad = { axis: 'storage', severity: 'error', reason: 'Full', since: 1 } as const;
    const agent = sampleAgent({
      id: 'a',
      conditions: [
        { ...bad, type: 'storage', message: 'full' },
        { ...bad, type: 'sources/press', axis: 'sources', message: 'refused' },
      ],
    });
    const alerts = [
      sampleAlert({
        id: 'full',
        source: 'condition',
        agent: 'a',
        state: 'acknowledged',
        labels: { condition: 'storage' },
      }),
    ];
    const { open, taken } = attentionList([agent], { ...calm, alerts });
    expect(heads(open)).toEqual(['a: sources/press']);
    expect(heads(taken)).toEqual(['a: storage']);
  });

  test('that a step of a job raised is a line of its own', () => {
    const alerts = [sampleAlert({ id: 'hot', title: 'hot: press-3', link: '/jobs/j' })];
    const { open } = attentionList([], { ...calm, alerts });
    expect(open).toMatchObject([{ kind: 'alert', what: 'hot: press-3', href: '/jobs/j' }]);
  });
});
