/** When a device that is heard counts as one that does not take its desired state. */
import { expect, it } from 'vitest';
import { behindOf } from '@runnel/control-plane/http/agent-view.ts';
import { limits } from '@runnel/shared/limits.ts';
import { heartbeatOf } from '../../support/device.ts';

const ISSUED = 1_000_000;
const PATIENCE_MS = limits.desiredTakenMsMax;

function behind({
  lastSeenAt = ISSUED + PATIENCE_MS,
  connectionSince = 0,
  observedRevision = 3,
  intervalMs = 10_000,
}) {
  const heartbeat = heartbeatOf('a', 1, { observedRevision, intervalMs });
  const report = { connection: 'online', conditions: [], connectionSince, lastSeenAt, heartbeat };
  return behindOf(report as Parameters<typeof behindOf>[0], { revision: 4, issuedAt: ISSUED });
}

it('is not before it was heard long enough with an older one', () => {
  expect(behind({ lastSeenAt: ISSUED + PATIENCE_MS - 1 })).toBeNull();
  expect(behind({})).toEqual({ revision: 4, since: ISSUED });
  expect(behind({ observedRevision: 4 })).toBeNull();
});

it('that came back has its time from then on', () => {
  const back = ISSUED + 3_600_000;
  const heard = { connectionSince: back, lastSeenAt: back + PATIENCE_MS - 1 };
  expect(behind(heard)).toBeNull();
  expect(behind({ ...heard, lastSeenAt: back + PATIENCE_MS })?.since).toBe(back);
});

it('that seldom speaks has three heartbeats', () => {
  const seldom = { intervalMs: 300_000 };
  expect(behind({ ...seldom, lastSeenAt: ISSUED + 899_999 })).toBeNull();
  expect(behind({ ...seldom, lastSeenAt: ISSUED + 900_000 })).not.toBeNull();
});

it('that never spoke is never behind', () => {
  const report = { connection: 'never', conditions: [], connectionSince: null, lastSeenAt: null };
  const silent = { ...report, heartbeat: undefined } as Parameters<typeof behindOf>[0];
  expect(behindOf(silent, { revision: 4, issuedAt: ISSUED })).toBeNull();
});
