/** The link against a real nats-server and the control plane's own identity. */
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import { isOwnReply } from '@runnel/shared/protocol/subjects.ts';
import { deviceKey } from '@runnel/agent/sync/device-key.ts';
import type { Link } from '@runnel/agent/sync/link.ts';
import { connectLink } from '@runnel/agent/sync/nats-link.ts';
import { linkTrouble } from '@runnel/agent/sync/troubles.ts';
import {
  type ControlSide,
  type DeviceKey,
  enrolRequestOf,
  newDeviceKey,
  openControlSide,
} from '../../support/nats.ts';
import { joinToken } from '../../support/test-identity.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Device {
  readonly agent: AgentId;
  readonly key: DeviceKey;
  readonly credentials: Credentials;
}

async function enrolled(side: ControlSide): Promise<Device> {
  const key = newDeviceKey();
  const request = enrolRequestOf(key, await joinToken(side.identity));
  const { agent, credentials } = await side.identity.enrol(request);
  if (credentials === null) throw new Error('not approved');
  return { agent: agent as AgentId, key, credentials };
}

const commands: string[] = [];
const denied: string[] = [];
const connected = (device: Device, credentials = device.credentials): Promise<Link> =>
  connectLink({
    agent: device.agent,
    credentials,
    key: deviceKey(device.key.seed),
    clock: systemClock,
    onCommand: (name) => commands.push(name),
    onDenied: (message) => denied.push(message),
  });
const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('the link', () => {
  it('asks, gets the answer at its own inbox, beats, and hears commands', async () => {
    const side = await openControlSide();
    const device = await enrolled(side);
    const replies: (string | undefined)[] = [];
    const beats: string[] = [];
    side.link.handle('cp.*.desired', (message) => {
      replies.push(message.reply);
      side.link.publish(message.reply ?? '', text({ v: 1, status: 'same' }));
    });
    side.link.handle('fleet.*.hb', (message) => {
      beats.push(message.subject);
    });
    await side.link.flush();
    const link = await connected(device);
    expect(await link.request('desired', text({}), 2000)).toEqual({ v: 1, status: 'same' });
    expect(replies.every((reply) => isOwnReply(device.agent, reply))).toBe(true);
    link.heartbeat(text({}));
    await waitFor('the beat', () => beats.includes(`fleet.${device.agent}.hb`));
    side.link.publish(`fleet.${device.agent}.cmd.changed`, '{"v":1,"revision":2}');
    await waitFor('the command', () => commands.includes('changed'));
    await link.close();
    expect(await link.closed).toMatchObject({ kind: 'network' });
  });

  it('names what goes wrong: nobody there, no answer, an error answer, too large', async () => {
    const side = await openControlSide();
    const link = await connected(await enrolled(side));
    await expect(link.request('blob', text({}), 2000)).rejects.toThrow(code('no_responders'));
    side.link.handle('cp.*.state', () => undefined);
    side.link.handle('cp.*.table', (message) => {
      const error = { code: 'not_found', message: 'no table' };
      side.link.publish(message.reply ?? '', text({ v: 1, error }));
    });
    await side.link.flush();
    await expect(link.request('table', text({}), 2000)).rejects.toThrow(code('not_found'));
    await expect(link.request('state', text({}), 50)).rejects.toThrow(code('timeout'));
    const huge = new Uint8Array(16 * 1024 * 1024);
    await expect(link.request('table', huge, 2000)).rejects.toThrow(code('message_too_large'));
    await link.close();
  });

  it('tells refused credentials from a network that is gone', async () => {
    const side = await openControlSide();
    const device = await enrolled(side);
    const stranger = { ...device, key: newDeviceKey() };
    const refused = await connected(stranger).catch(linkTrouble);
    expect(refused).toMatchObject({ kind: 'refused' });
    const nowhere = { ...device.credentials, natsUrls: ['nats://127.0.0.1:1'] };
    const gone = await connected(device, nowhere).catch(linkTrouble);
    expect(gone).toMatchObject({ kind: 'network' });
  });

  it('tells of subjects that the server does not let it use, and goes on', async () => {
    const side = await openControlSide();
    const [first, second] = [await enrolled(side), await enrolled(side)];
    const link = await connected({ ...first, agent: second.agent });
    link.heartbeat(text({}));
    await waitFor('the word', () =>
      denied.some((message) => message.includes(`Publish to "fleet.${second.agent}.hb"`)),
    );
    await link.close();
  });

  it('ends when the server goes, and when the device is revoked', async () => {
    const side = await openControlSide();
    const [first, second] = [await enrolled(side), await enrolled(side)];
    const revoked = await connected(first);
    const other = await connected(second);
    await side.identity.revoke(first.agent);
    expect(await revoked.closed).toMatchObject({ kind: 'revoked' });
    expect(await connected(first).catch(linkTrouble)).toMatchObject({ kind: 'refused' });
    await side.server.stop();
    expect(await other.closed).toMatchObject({ kind: 'network' });
  });

  it('a server that is too busy to let it in is no reason for new credentials', async () => {
    const side = await openControlSide();
    const { credentials, ...device } = await enrolled(side);
    // What nats-server says when it did not get round to a connection in time.
    const busy = createServer((socket) => {
      const info = { server_id: 'busy', version: '2.10.27', max_payload: 1024, nonce: 'n' };
      socket.write(`INFO ${JSON.stringify({ ...info, auth_required: true })}\r\n`);
      socket.once('data', () => socket.end("-ERR 'Authentication Timeout'\r\n"));
    });
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void busy.close());
    const { port } = busy.address() as AddressInfo;
    const there = { ...credentials, natsUrls: [`nats://127.0.0.1:${port}`] };
    const failed = await connected({ ...device, credentials }, there).catch(linkTrouble);
    expect(failed).toMatchObject({
      kind: 'network',
      message: expect.stringMatching(/authentication timeout/i),
    });
  });
});
