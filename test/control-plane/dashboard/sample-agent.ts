/** A healthy agent as the API gives it; each test changes what it is about. */
import { deviceHealth } from '@runnel/shared/health/device-health.ts';
import type { AgentItem, ResultItem } from '@runnel/control-plane/http/live-messages.ts';

export function sampleAgent(change: Partial<AgentItem> & { readonly id: string }): AgentItem {
  const agent = {
    name: change.id,
    labels: {},
    status: 'approved',
    connection: 'online',
    version: '0.1.0',
    platform: { os: 'linux', arch: 'x64', node: '20.19.0' },
    enrolledAt: 1000,
    lastSeenAt: 2000,
    conditions: [],
    jobs: [],
    outbox: null,
    desiredRevision: 1,
    observedRevision: 1,
    ...change,
  } as const;
  return {
    ...agent,
    health: deviceHealth({ ...agent, connectionSince: agent.lastSeenAt, behind: null }),
  };
}

export function sampleResult(change: Partial<ResultItem> & { readonly seq: number }): ResultItem {
  return {
    agent: 'a',
    epoch: 'e',
    lane: 'results',
    job: 'j',
    version: 1,
    step: 's',
    key: 'k',
    windowStart: 0,
    windowEnd: 10_000,
    time: 9_999,
    revision: 1,
    value: { n: 1 },
    receivedAt: 20_000,
    ...change,
  };
}
