/** What a device's credentials reach, against a real nats-server. */
import type { NatsConnection } from '@nats-io/transport-node';
import { beforeEach, describe, expect, it } from 'vitest';
import { renewalProof } from '@runnel/shared/protocol/enrolment.ts';
import {
  type ControlSide,
  type DeviceKey,
  connectDevice,
  enrolledDevice,
  newDeviceKey,
  openControlSide,
} from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Device {
  readonly key: DeviceKey;
  readonly agent: string;
  readonly connection: NatsConnection;
  /** Permission violations that the server told this connection of. */
  readonly violations: string[];
}

async function enrolDevice(side: ControlSide): Promise<Device> {
  const { agent, key, credentials } = await enrolledDevice(side);
  const connection = await connectDevice(credentials, key, agent);
  const violations: string[] = [];
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'error') violations.push(status.error.message);
    }
  })();
  return { key, agent, connection, violations };
}

/** Everything that the account carries, as the control plane's own listener sees it. */
function listen(side: ControlSide): string[] {
  const heard: string[] = [];
  for (const subject of ['fleet.*.hb', 'cp.*.*']) {
    side.link.handle(subject, (message) => {
      heard.push(message.subject);
    });
  }
  return heard;
}

describe('a device', () => {
  let side: ControlSide;
  let device: Device;
  let other: Device;
  let heard: string[];

  beforeEach(async () => {
    side = await openControlSide();
    device = await enrolDevice(side);
    other = await enrolDevice(side);
    heard = listen(side);
    await side.link.flush();
  });

  /** A round trip: whatever came before was judged by the server. */
  const settled = async (): Promise<void> => {
    await device.connection.flush();
    await side.link.flush();
    await other.connection.flush();
  };

  it('reaches its own subjects', async () => {
    const own = device.agent;
    for (const subject of [`fleet.${own}.hb`, `cp.${own}.results`, `cp.${own}.desired`]) {
      device.connection.publish(subject, 'x');
    }
    const commands: string[] = [];
    device.connection.subscribe(`fleet.${own}.cmd.>`, {
      callback: (_error, message) => void commands.push(message.subject),
    });
    await settled();
    side.link.publish(`fleet.${own}.cmd.changed`, 'x');
    await waitFor('the command', () => commands.length === 1);
    await waitFor('what it published', () => heard.length === 3);
    expect(device.violations).toEqual([]);
  });

  it('asks and is answered in its own inbox', async () => {
    side.link.handle(
      `cp.${device.agent}.renew`,
      (message) => void side.link.publish(message.reply!, 'answer'),
      'control',
    );
    await side.link.flush();
    const reply = await device.connection.request(`cp.${device.agent}.renew`, 'x');
    expect(reply.string()).toBe('answer');
  });

  const foreignPublishes = (): string[] => [
    `fleet.${other.agent}.hb`,
    `cp.${other.agent}.results`,
    `cp.${other.agent}.renew`,
    `fleet.${other.agent}.cmd.changed`,
    `fleet.${device.agent}.cmd.changed`,
    `_INBOX.${other.agent}.abc`,
    `_INBOX.${device.agent}.abc`,
    'anything',
    '$JS.API.STREAM.CREATE.x',
    '$JS.API.INFO',
    '$SYS.REQ.ACCOUNT.PING',
    '$SYS.REQ.CLAIMS.UPDATE',
    '$SYS.REQ.SERVER.PING',
  ];

  it('publishes to nothing else', async () => {
    const received: string[] = [];
    other.connection.subscribe(`_INBOX.${other.agent}.>`, {
      callback: (_error, message) => void received.push(message.subject),
    });
    await settled();
    const subjects = foreignPublishes();
    for (const subject of subjects) device.connection.publish(subject, 'x');
    await settled();
    await waitFor('every refusal', () => device.violations.length >= subjects.length);
    for (const subject of subjects) {
      expect(device.violations.join('\n')).toContain(`"${subject}"`);
    }
    expect(heard).toEqual([]);
    expect(received).toEqual([]);
  });

  it('subscribes to nothing else, wildcards least of all', async () => {
    const subjects = [
      '>',
      '*',
      'fleet.>',
      'fleet.*.hb',
      'fleet.*.cmd.>',
      `fleet.${other.agent}.cmd.>`,
      `fleet.${other.agent}.hb`,
      'cp.>',
      'cp.*.results',
      `cp.${device.agent}.results`,
      '_INBOX.>',
      `_INBOX.${other.agent}.>`,
      `_INBOX.*.>`,
      '$SYS.>',
      '$JS.API.>',
    ];
    const refused: string[] = [];
    for (const subject of subjects) {
      device.connection.subscribe(subject, {
        callback: (error) => {
          if (error !== null) refused.push(subject);
        },
      });
    }
    await settled();
    await waitFor('every refusal', () => refused.length === subjects.length);
    expect(refused.toSorted()).toEqual(subjects.toSorted());
  });

  it('has no JetStream', async () => {
    await expect(device.connection.request('$JS.API.INFO', '', { timeout: 500 })).rejects.toThrow();
    expect(device.connection.info?.jetstream ?? false).toBe(false);
  });

  it('cannot join a queue group of the control plane', async () => {
    const refused: unknown[] = [];
    device.connection.subscribe('cp.*.results', {
      queue: 'control-plane',
      callback: (error) => void refused.push(error),
    });
    await settled();
    await waitFor('the refusal', () => refused.length === 1);
  });

  it('is cut off at once when it is revoked, while others stay', async () => {
    const gone = device.connection.closed();
    expect(await side.identity.revoke(device.agent)).toEqual({ cut: true });
    await gone;
    expect(other.connection.isClosed()).toBe(false);
    await other.connection.flush();
    await expect(side.identity.renewOverNats(device.agent)).rejects.toMatchObject({
      code: 'agent_revoked',
    });
  });
});

describe('credentials', () => {
  it('of a revoked device stay refused when server and control plane start anew', async () => {
    const place = {
      storePath: `${tempDir('store')}/store.db`,
      keysDir: tempDir('keys'),
      natsDir: tempDir('nats'),
    };
    const side = await openControlSide(place);
    const { agent, key, credentials } = await enrolledDevice(side);
    // NATS is away at the moment of the revocation: only the store knows of it.
    await side.pusher.close();
    await side.link.close();
    await side.server.stop();
    expect(await side.identity.revoke(agent)).toEqual({ cut: false });
    const again = await openControlSide({ ...place, port: side.server.address.port });
    await expect(connectDevice(credentials, key, agent)).rejects.toThrow(/authorization/i);
    expect(again.link.connected).toBe(true);
  });

  it('end by themselves, and are renewed with a proof of the key', async () => {
    const side = await openControlSide({ credentialsMs: 2000 });
    const device = await enrolDevice(side);
    await device.connection.closed();
    const nonce = side.identity.renewNonce();
    const { agent, key } = device;
    const renewed = await side.identity.renew({
      v: 1,
      agent,
      publicKey: key.publicKey,
      nonce,
      proof: key.prove(renewalProof(agent, nonce)),
    });
    const connection = await connectDevice(renewed.credentials, key, agent);
    await connection.flush();
    expect(connection.isClosed()).toBe(false);
  });

  it('of one device do not work with the key of another', async () => {
    const side = await openControlSide();
    const { agent, credentials } = await enrolledDevice(side);
    await expect(connectDevice(credentials, newDeviceKey(), agent)).rejects.toThrow(
      /authorization/i,
    );
  });
});
