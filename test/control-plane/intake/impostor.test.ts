/**
 * One hostile device against a whole control plane: its real credentials, and a connection that
 * says what it likes (I7). Whatever it says, the other device is not heard, spoken for or reached.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentId } from '@runnel/shared/ids.ts';
import { REQUESTS, subjects } from '@runnel/shared/protocol/subjects.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, heartbeatOf, rowOf } from '../../support/device.ts';
import { RawNats } from '../../support/raw-nats.ts';
import { runRowOf } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';

let control: TestControlPlane;
let mallory: Device;
let victim: Device;
/** Mallory's own connection beside the well-behaved one. */
let raw: RawNats;

beforeAll(async () => {
  control = await TestControlPlane.start();
  mallory = await Device.join(control, { name: 'mallory' });
  victim = await Device.join(control, { name: 'victim' });
  await victim.beat();
  await victim.send([{}]);
  await waitFor('the victim to be online', async () => {
    return (await control.get(`/agents/${victim.id}`)).json.connection === 'online';
  });
});

afterAll(async () => {
  await mallory.close();
  await victim.close();
  await control.close();
});

const rawOf = ({ reply, key }: Device) => RawNats.open(reply.credentials!, key);
beforeEach(async () => {
  raw = await rawOf(mallory);
});

/** Every subject of the protocol, of one agent. */
const subjectsOf = (agent: AgentId): string[] => [
  subjects.heartbeat(agent),
  ...REQUESTS.map((kind) => subjects.request(agent, kind)),
  ...['changed', 'batch', 'drain'].map((name) => subjects.command(agent, name)),
  `${subjects.inboxPrefix(agent)}.x`,
];

const SERVER_SUBJECTS = [
  '$JS.API.INFO',
  '$JS.API.STREAM.CREATE.x',
  '$JS.API.STREAM.NAMES',
  '$JS.ACK.x.y.1.1.1.1.0',
  '$KV.fleet.key',
  '$O.fleet.C.x',
  '$SYS.REQ.USER.INFO',
  '$SYS.REQ.ACCOUNT.PING.CONNZ',
  '$SYS.REQ.CLAIMS.UPDATE',
  '$SYS.REQ.CLAIMS.DELETE',
  '$SYS.REQ.SERVER.PING',
  '$SYS.ACCOUNT.x.CONNECT',
  '$MQTT.sess.x',
  '$NRG.x',
  '_R_.x',
];

/** Everything the API shows of the victim, except for times that go on. */
async function shownOfVictim(): Promise<unknown> {
  const agent = await control.get(`/agents/${victim.id}`);
  const results = await control.get(`/datasets/rms/results?agent=${victim.id}`);
  const runs = await control.get(`/runs?agent=${victim.id}`);
  const events = await control.get(`/agents/${victim.id}/events`);
  return [agent.json, results.json.items, runs.json.items, events.json.items];
}

async function dropped(reason: string): Promise<number> {
  const { text } = await control.request('GET', '/metrics');
  const found = new RegExp(`_dropped_total\\{reason="${reason}"\\} (\\d+)`).exec(text);
  return Number(found?.[1] ?? 0);
}

describe('a device with its own credentials', () => {
  it('publishes on no subject of another, of the control plane or of the server', async () => {
    const before = await shownOfVictim();
    const body = JSON.stringify(heartbeatOf(victim.id, 99, { agentVersion: 'stolen' }));
    const foreign = [
      ...subjectsOf(victim.id),
      subjects.command(mallory.id, 'changed'),
      `${subjects.inboxPrefix(mallory.id)}.x`,
      ...['fleet.*.hb', 'cp.*.results', 'fleet.>', 'cp.>', '>', '*', 'x', `cp.${mallory.id}`],
      ...[`fleet.${mallory.id}`, `fleet.${mallory.id}.hb.x`, `fleet.${mallory.id}.HB`],
      ...[`CP.${mallory.id}.results`, `cp.${mallory.id}x.results`],
      ...SERVER_SUBJECTS,
    ];
    for (const subject of foreign) raw.publish(subject, body);
    await raw.settled();
    const refusals = raw.refusals();
    for (const subject of foreign) {
      expect(refusals).toContain(`-ERR 'Permissions Violation for Publish to "${subject}"'`);
    }
    expect(refusals).toHaveLength(foreign.length);
    expect(await shownOfVictim()).toEqual(before);
  });

  it('hears no subject of another, however it asks', async () => {
    const foreign = [
      ...subjectsOf(victim.id),
      subjects.commands(victim.id),
      `${subjects.inboxPrefix(victim.id)}.>`,
      ...REQUESTS.map((kind) => subjects.request(mallory.id, kind)),
      ...[subjects.heartbeat(mallory.id), subjects.allHeartbeats, subjects.allRequests('results')],
      ...['>', '*', '*.*', '*.*.*', 'fleet.>', 'fleet.*.cmd.>', 'fleet.*.cmd.changed', 'cp.>'],
      ...['_INBOX.>', '_INBOX.*', '_INBOX.*.>', `_INBOX.${mallory.id}*.>`, '_INBOX.*.*'],
      ...['$JS.>', '$JS.API.>', '$SYS.>', '$SYS.ACCOUNT.>', '$KV.>', '$>', ...SERVER_SUBJECTS],
    ];
    for (const [at, subject] of foreign.entries()) {
      // The same again as one of the control plane's own group, which would take its share.
      raw.write(`SUB ${subject} ${at}\r\nSUB ${subject} control-plane q${at}\r\n`);
      raw.write(`UNSUB ${at}\r\nUNSUB q${at}\r\n`);
    }
    await raw.settled();
    const refusals = raw.refusals();
    for (const subject of foreign) {
      const alone = `-ERR 'Permissions Violation for Subscription to "${subject}"'`;
      const group = alone.replace(/'$/, ` using queue "control-plane"'`);
      expect(refusals).toContain(alone);
      expect(refusals).toContain(group);
    }
    expect(refusals).toHaveLength(2 * foreign.length);

    await control.request('PATCH', `/api/v1/agents/${victim.id}`, { body: { name: 'victim-2' } });
    await victim.beat();
    await victim.askDesired();
    await raw.settled();
    expect(raw.heard).not.toContain('MSG');
  });

  it('gets no answer sent to another: not by us, not by the server', async () => {
    const theirs = await rawOf(victim);
    theirs.write(`SUB ${subjects.commands(victim.id)} 1\r\n`);
    theirs.write(`SUB ${subjects.inboxPrefix(victim.id)}.> 2\r\n`);
    await theirs.settled();
    const replies = [
      ...subjectsOf(victim.id),
      `cp.${mallory.id}.results`,
      ...[subjects.inboxPrefix(mallory.id), `${subjects.inboxPrefix(mallory.id)}x.y`],
      ...[`${subjects.inboxPrefix(mallory.id)}.>`, `${subjects.inboxPrefix(mallory.id)}.*`],
      ...['_INBOX.>', '$SYS.REQ.SERVER.PING', 'x'],
    ];
    const block = { v: 1, agent: mallory.id, epoch: 'e9', lane: 'results', after: 0, last: 0 };
    const body = JSON.stringify({ ...block, lost: 0, rows: [], hash: '', revision: 0, told: 0 });
    const before = await dropped('foreign_reply');
    for (const kind of REQUESTS) {
      for (const reply of replies) raw.publish(subjects.request(mallory.id, kind), body, reply);
      raw.publish(subjects.request(mallory.id, kind), body);
    }
    for (const reply of replies) raw.publish(subjects.heartbeat(mallory.id), body, reply);
    await raw.settled();
    // `blob` and `table` are heard by nobody: what the server answers goes to who asked, or nobody.
    const heard = REQUESTS.length - 2;
    await waitFor('every request to be dropped', async () => {
      return (await dropped('foreign_reply')) - before >= heard * (replies.length + 1);
    });
    await victim.beat();
    await theirs.settled();
    expect(theirs.heard).not.toContain('MSG');
    expect(theirs.refusals()).toEqual([]);
    const marks = await control.get(`/datasets/rms/results?agent=${mallory.id}`);
    expect(marks.json.items).toEqual([]);
  });

  it('speaks for no other by what it writes in a message', async () => {
    const before = await shownOfVictim();
    const others = await dropped('agent_mismatch');
    const named = { ...heartbeatOf(victim.id, 1000, { agentVersion: 'stolen' }), hash: '' };
    const block = { epoch: 'e1', lane: 'results', after: 1, last: 1000, lost: 999, rows: [] };
    const answer = { id: 'x', outcome: null, error: { code: 'x', message: 'x' } };
    const body = JSON.stringify({ ...named, ...block, ...answer, revision: 2 ** 40, told: 0 });
    raw.write(`SUB ${subjects.inboxPrefix(mallory.id)}.> 1\r\n`);
    for (const kind of REQUESTS) {
      const reply = `${subjects.inboxPrefix(mallory.id)}.${kind}`;
      raw.publish(subjects.request(mallory.id, kind), body, reply);
    }
    raw.publish(subjects.heartbeat(mallory.id), body);
    await waitFor('all to be dropped', async () => {
      return (await dropped('agent_mismatch')) - others >= REQUESTS.length - 2 + 1;
    });
    await raw.settled();
    // Only the server itself answers, where nobody listens.
    expect(raw.heard.match(/MSG \S+/g)?.toSorted()).toEqual(
      ['blob', 'table'].map((kind) => `MSG ${subjects.inboxPrefix(mallory.id)}.${kind}`),
    );
    expect(await shownOfVictim()).toEqual(before);
    // Its lane goes on where it was.
    expect(await victim.send([{}])).toBe(2);
  });

  it('is not taken for a whole fleet by odd tokens in its own subjects', async () => {
    const own = `cp.${mallory.id}`;
    const odd = ['*', '>', 'results.x', 'RESULTS', 'resultsx', 'results.>', 'x.results', '$SYS'];
    const before = await shownOfVictim();
    const body = JSON.stringify(heartbeatOf(mallory.id, 1));
    for (const rest of odd) {
      raw.publish(`${own}.${rest}`, body, `${subjects.inboxPrefix(mallory.id)}.x`);
    }
    await raw.settled();
    expect(raw.refusals()).toEqual([]);
    for (const subject of [`${own}..results`, `${own}.`, `cp..results`, `.${own}.results`]) {
      const wild = await rawOf(mallory);
      wild.publish(subject, body, `${subjects.inboxPrefix(mallory.id)}.x`);
      await wild.settled();
    }
    expect(await shownOfVictim()).toEqual(before);
    expect(await victim.askDesired()).toMatchObject({ v: 1 });
  });

  it("reports runs of its own, and none of another's, whatever their ids", async () => {
    const run = 'run00000000000000001';
    await victim.send([runRowOf({ run, state: 'success' })]);
    await mallory.send([runRowOf({ run, state: 'failed' })]);
    const of = (device: Device) => control.get(`/runs/${run}?agent=${device.id}`);
    expect((await of(victim)).json).toMatchObject({ state: 'success', agent: victim.id });
    expect((await of(mallory)).json).toMatchObject({ state: 'failed', agent: mallory.id });
    expect((await control.get(`/runs/${run}`)).status).toBe(409);
  });

  it('does not look like another by the headers of a message', async () => {
    const before = await shownOfVictim();
    const others = await dropped('agent_mismatch');
    const theirs = subjects.heartbeat(victim.id);
    const headers = `NATS/1.0\r\nNats-Subject: ${theirs}\r\nNats-Expected-Stream: x\r\n\r\n`;
    const body = JSON.stringify(heartbeatOf(victim.id, 5000));
    const size = `${headers.length} ${headers.length + Buffer.byteLength(body)}`;
    raw.write(`HPUB ${subjects.heartbeat(mallory.id)} ${size}\r\n${headers}${body}\r\n`);
    await waitFor('the drop', async () => (await dropped('agent_mismatch')) > others);
    expect(await shownOfVictim()).toEqual(before);
  });
});

describe('messages that come again', () => {
  const counted = async (metric: string): Promise<number> => {
    const { text } = await control.request('GET', '/metrics');
    return Number(new RegExp(`^${metric} (\\d+)$`, 'm').exec(text)?.[1]);
  };

  it('give a block of results once, however often and in whatever order', async () => {
    const device = await Device.join(control, { name: 'twice' });
    const block = (after: number, last: number) => {
      const rows = Array.from({ length: last - after }, (_, at) => rowOf(after + at + 1));
      const head = { v: 1, agent: device.id, epoch: 'e1', lane: 'results', lost: 0 };
      return JSON.stringify({ ...head, after, last, rows });
    };
    const connection = await rawOf(device);
    const inbox = subjects.inboxPrefix(device.id);
    connection.write(`SUB ${inbox}.> 1\r\n`);
    const sent = [block(0, 2), block(0, 2), block(2, 3), block(0, 2), block(1, 3), block(0, 2)];
    for (const [at, body] of sent.entries()) {
      connection.publish(subjects.request(device.id, 'results'), body, `${inbox}.${at}`);
    }
    await waitFor('the answers', () => connection.heard.match(/"mark":/g)?.length === sent.length);
    // Blocks are answered as they are decided on; the last word is the highest mark.
    expect(connection.heard).toContain('"mark":3');
    const { json } = await control.get(`/datasets/rms/results?agent=${device.id}`);
    const values = json.items.map(({ value }: { value: unknown }) => value);
    expect(values).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    await device.close();
  });

  it('let no old heartbeat speak: it changes nothing, and is no sign of life', async () => {
    const device = await Device.join(control, { name: 'echo' });
    const connection = await rawOf(device);
    const beat = (seq: number, agentVersion: string) =>
      JSON.stringify(heartbeatOf(device.id, seq, { agentVersion }));
    const subject = subjects.heartbeat(device.id);
    connection.publish(subject, beat(1, 'old'));
    connection.publish(subject, beat(2, 'new'));
    await waitFor('both', async () => {
      return (await control.get(`/agents/${device.id}`)).json.version === 'new';
    });
    const seen = (await control.get(`/agents/${device.id}`)).json.lastSeenAt;
    const before = await counted('runnel_heartbeats_replayed_total');
    for (const again of [beat(1, 'old'), beat(2, 'new'), beat(-1, 'odd')]) {
      connection.publish(subject, again);
    }
    const replayed = () => counted('runnel_heartbeats_replayed_total');
    await waitFor('all three', async () => (await replayed()) === before + 3);
    const agent = (await control.get(`/agents/${device.id}`)).json;
    expect(agent).toMatchObject({ version: 'new', lastSeenAt: seen });
    // Of another process of the same device it is new, and a clone shows itself by it.
    connection.publish(subject, JSON.stringify(heartbeatOf(device.id, 1, { epoch: 'process-2' })));
    await waitFor('the next process', async () => {
      return (await control.get(`/agents/${device.id}`)).json.version !== 'new';
    });
    await device.close();
  });
});

describe('credentials that are over', () => {
  it('cut every connection they have when they are revoked, and open none again', async () => {
    const lost = await Device.join(control, { name: 'lost' });
    const connections = [await rawOf(lost), await rawOf(lost), await rawOf(lost)];
    const renewed = await control.post(`/agents/${lost.id}/revoke`);
    expect(renewed.json.status).toBe('revoked');
    await waitFor('all to be cut', () => connections.every(({ closed }) => closed));
    for (const { heard } of connections) expect(heard).toMatch(/Authentication Revoked/i);
    await expect(rawOf(lost)).rejects.toThrow(/Authorization Violation/i);
    await lost.closed;
    expect(raw.closed).toBe(false);
  });

  it('are of no use without the key, nor as a name only', async () => {
    const { credentials } = victim.reply;
    const stolen = RawNats.open(credentials!, mallory.key);
    await expect(stolen).rejects.toThrow(/Authorization Violation/i);
    const [head, claims, signature] = mallory.reply.credentials!.jwt.split('.');
    const bent = Buffer.from(claims!, 'base64url')
      .toString('utf8')
      .replaceAll(mallory.id, victim.id);
    const jwt = [head, Buffer.from(bent).toString('base64url'), signature].join('.');
    const forged = RawNats.open({ ...credentials!, jwt }, mallory.key);
    await expect(forged).rejects.toThrow(/Authorization Violation/i);
  });
});
