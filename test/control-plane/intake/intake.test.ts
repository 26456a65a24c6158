/** Intake over a real nats-server: who may say what, and where answers go. */
import { gzipSync } from 'node:zlib';
import type { NatsConnection } from '@nats-io/transport-node';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { EventWriter } from '@runnel/control-plane/intake/event-writer.ts';
import { FleetHealth } from '@runnel/control-plane/intake/fleet-health.ts';
import { Intake } from '@runnel/control-plane/intake/intake.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import type { ResultBlock } from '@runnel/shared/protocol/results.ts';
import {
  type ControlSide,
  type EnrolledDevice,
  connectDevice,
  enrolledDevice,
  openControlSide,
  silentLog,
} from '../../support/nats.ts';
import { heartbeatOf, jobReportOf } from '../../support/device.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Device extends EnrolledDevice {
  readonly connection: NatsConnection;
}

function blockOf(agent: string, after: number, last: number): ResultBlock {
  const rows = Array.from({ length: last - after }, (_, index) => ({
    seq: after + 1 + index,
    kind: 'result' as const,
    job: 'rms',
    version: 1,
    step: 'avg',
    dataset: 'rms',
    key: 'm1',
    windowStart: 0,
    windowEnd: 10,
    time: 9,
    revision: 1,
    value: { n: 1 },
    at: 9,
  }));
  return { v: 1, agent, epoch: 'e1', lane: 'results', after, last, lost: 0, rows };
}

describe('intake', () => {
  let side: ControlSide;
  let intake: Intake;
  let health: FleetHealth;
  let events: EventWriter;
  let device: Device;
  let other: Device;
  /** Agents that are not approved. */
  const refused = new Set<string>();

  const joined = async (): Promise<Device> => {
    const enrolled = await enrolledDevice(side);
    const { agent, key, credentials } = enrolled;
    return { ...enrolled, connection: await connectDevice(credentials, key, agent) };
  };

  beforeEach(async () => {
    side = await openControlSide();
    const { db } = side.store;
    events = new EventWriter(db, silentLog);
    health = await FleetHealth.open({ db, clock: systemClock, log: silentLog, events });
    intake = Intake.start({
      db,
      link: side.link,
      clock: systemClock,
      log: silentLog,
      health,
      isApproved: (agent) => !refused.has(agent),
      desired: () => Promise.resolve({ v: 1, status: 'same' }),
      renew: (agent) => side.identity.renewOverNats(agent),
    });
    onTestFinished(() => intake.stop());
    await side.link.flush();
    device = await joined();
    other = await joined();
  });

  const ask = async (kind: string, body: unknown): Promise<Record<string, unknown>> => {
    const data = Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const reply = await device.connection.request(`cp.${device.agent}.${kind}`, data);
    return reply.json();
  };

  const storedRows = async (): Promise<number> =>
    (await side.store.db.selectFrom('results').select('id').execute()).length;

  it('answers a block with the mark after its rows are in the store', async () => {
    const mark = await ask('results', blockOf(device.agent, 0, 3));
    expect(mark).toEqual({ v: 1, epoch: 'e1', lane: 'results', mark: 3 });
    expect(await storedRows()).toBe(3);
  });

  it('takes gzip, and refuses what grows beyond the bound', async () => {
    const packed = gzipSync(JSON.stringify(blockOf(device.agent, 0, 100)));
    expect(await ask('results', packed)).toMatchObject({ mark: 100 });
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    expect(await ask('results', bomb)).toMatchObject({ error: { code: 'message_too_large' } });
    expect(await ask('results', packed.subarray(0, 40))).toMatchObject({
      error: { code: 'message_malformed' },
    });
  });

  it.each([
    ['not JSON', Buffer.from('{'), 'message_malformed'],
    ['a protocol that is newer', { v: 2 }, 'protocol_version'],
    ['a block without rows', { v: 1, agent: 'x' }, 'protocol'],
  ])('answers %s with a clear error', async (_name, body, code) => {
    expect(await ask('results', body)).toMatchObject({ error: { code } });
    expect(intake.counters.droppedByReason.get(code)).toBe(1);
  });

  it('refuses rows outside of the range that a block declares', async () => {
    const block = { ...blockOf(device.agent, 0, 3), last: 2 };
    expect(await ask('results', block)).toMatchObject({ error: { code: 'block_invalid' } });
    expect(await storedRows()).toBe(0);
  });

  it('drops a body that names another agent, without an answer, and counts it', async () => {
    const subject = `cp.${device.agent}.results`;
    const body = JSON.stringify(blockOf(other.agent, 0, 3));
    const answer = device.connection.request(subject, body, { timeout: 300 });
    await expect(answer).rejects.toThrow(/timeout/i);
    expect(intake.counters.droppedByReason.get('agent_mismatch')).toBe(1);
    expect(await storedRows()).toBe(0);
  });

  it('takes nothing of an agent that is not approved, although NATS lets it in', async () => {
    const { agent } = device;
    refused.add(agent);
    const desired = { v: 1, agent, hash: '', revision: 0, told: 0 };
    for (const [kind, body] of [
      ['results', blockOf(agent, 0, 3)],
      ['desired', desired],
      ['state', heartbeatOf(agent, 1)],
      ['renew', { v: 1, agent }],
    ] as const) {
      expect(await ask(kind, body), kind).toMatchObject({ error: { code: 'agent_not_approved' } });
    }
    device.connection.publish(`fleet.${agent}.hb`, JSON.stringify(heartbeatOf(agent, 2)));
    await waitFor(
      'the heartbeat to be dropped',
      () => intake.counters.droppedByReason.get('agent_not_approved') === 5,
    );
    expect(await storedRows()).toBe(0);
    expect(health.report(agent).connection).toBe('never');
  });

  it('sends no answer to a foreign subject that a device names as its reply', async () => {
    const received: string[] = [];
    other.connection.subscribe(`_INBOX.${other.agent}.>`, {
      callback: (_error, message) => void received.push(message.subject),
    });
    other.connection.subscribe(`fleet.${other.agent}.cmd.>`, {
      callback: (_error, message) => void received.push(message.subject),
    });
    await other.connection.flush();
    const body = JSON.stringify(blockOf(device.agent, 0, 1));
    const replies = [
      `_INBOX.${other.agent}.x`,
      `fleet.${other.agent}.cmd.changed`,
      `_INBOX.${device.agent}`,
      `_INBOX.${device.agent}x.y`,
    ];
    for (const reply of replies) {
      device.connection.publish(`cp.${device.agent}.results`, body, { reply });
    }
    await waitFor(
      'all to be dropped',
      () => intake.counters.droppedByReason.get('foreign_reply') === replies.length,
    );
    await side.link.flush();
    await other.connection.flush();
    expect(received).toEqual([]);
    expect(await storedRows()).toBe(0);
  });

  it('renews credentials over the connection that proves the key', async () => {
    const reply = await ask('renew', { v: 1, agent: device.agent });
    const { credentials } = reply as unknown as { credentials: Credentials };
    const again = await connectDevice(credentials, device.key, device.agent);
    await again.flush();
  });

  it('passes requests for the desired state on and tells of changes', async () => {
    const request = { v: 1, agent: device.agent, hash: '', revision: 0, told: 0 };
    expect(await ask('desired', request)).toEqual({ v: 1, status: 'same' });
    const heard: unknown[] = [];
    device.connection.subscribe(`fleet.${device.agent}.cmd.>`, {
      callback: (_error, message) => void heard.push([message.subject, message.json()]),
    });
    await device.connection.flush();
    expect(intake.notifyChanged(device.agent, 7)).toBe(true);
    await waitFor('the command', () => heard.length === 1);
    expect(heard[0]).toEqual([`fleet.${device.agent}.cmd.changed`, { v: 1, revision: 7 }]);
  });

  it('shows a device online from its first heartbeat and keeps what it said', async () => {
    const seen: string[] = [];
    health.onChange((agent, change) => void seen.push(`${agent} ${change}`));
    expect(health.report(device.agent)).toMatchObject({ connection: 'never', lastSeenAt: null });
    device.connection.publish(
      `fleet.${device.agent}.hb`,
      JSON.stringify(heartbeatOf(device.agent, 1, { observedRevision: 3 })),
    );
    await waitFor('online', () => health.report(device.agent).connection === 'online');
    expect(seen).toEqual([`${device.agent} beat`]);
    expect(health.observedRevision(device.agent)).toBe(3);
    await health.write();
    await events.settled();
    const { db } = side.store;
    const again = await FleetHealth.open({ db, clock: systemClock, log: silentLog, events });
    expect(again.report(device.agent)).toMatchObject({
      connection: 'online',
      heartbeat: { observedRevision: 3 },
    });
  });

  it('reports a change of a job at once, as an event', async () => {
    const job = jobReportOf({ name: 'rms' });
    const { agent } = device;
    await ask('state', heartbeatOf(agent, 1, { jobs: [job] }));
    await ask('state', heartbeatOf(agent, 2, { jobs: [{ ...job, recordsIn: 5 }] }));
    await ask('state', heartbeatOf(agent, 3, { jobs: [{ ...job, phase: 'failed' }] }));
    await ask('state', heartbeatOf(agent, 4));
    await events.settled();
    const { db } = side.store;
    const told = await db.selectFrom('events').selectAll().where('type', '=', 'job').execute();
    expect(told.map(({ message, severity }) => `${severity}: ${message}`)).toEqual([
      'ok: rms v1 is running',
      'error: rms v1 is failed',
      'info: rms v1 is gone',
    ]);
  });
});
