/** The tap against mqtt-packet's own writer, however the bytes are cut into chunks. */
import * as fc from 'fast-check';
import { type IPublishPacket, generate } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { MqttFrames, qosOf } from '@runnel/agent/sources/mqtt-frames.ts';

interface Seen {
  readonly publishes: unknown[];
  readonly oversize: unknown[];
  readonly control: number[];
  malformed: string | null;
}

function tap(properties: boolean, payloadBytesMax = 1000): { frames: MqttFrames; seen: Seen } {
  const seen: Seen = { publishes: [], oversize: [], control: [], malformed: null };
  const frames = new MqttFrames(
    {
      publish: (topic, flags, id, payload, meta) =>
        seen.publishes.push([topic.text, qosOf(flags), id, payload.toString('hex'), meta]),
      oversize: (topic, flags, id) => seen.oversize.push([topic.text, qosOf(flags), id]),
      control: (frame, type) => seen.control.push(type, frame.length),
      malformed: (reason) => (seen.malformed = reason),
    },
    { properties, payloadBytesMax },
  );
  return { frames, seen };
}

function publish(fields: Partial<IPublishPacket>): IPublishPacket {
  const { qos = 1 } = fields;
  return {
    cmd: 'publish',
    topic: 'a/b',
    payload: Buffer.from('x'),
    qos,
    dup: false,
    retain: false,
    ...(qos > 0 && { messageId: 7 }),
    ...fields,
  };
}

function feed(frames: MqttFrames, bytes: Buffer, sizes: readonly number[]): void {
  let at = 0;
  for (const size of sizes) {
    frames.feed(bytes.subarray(at, at + size));
    at += size;
  }
  if (at < bytes.length) frames.feed(bytes.subarray(at));
}

const packets = fc.array(
  fc.record({
    topic: fc.constantFrom('a', 'a/b', 'press/π/vibration', 't'.repeat(300)),
    payload: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom(0 as const, 1 as const),
    messageId: fc.integer({ min: 1, max: 65_535 }),
  }),
  { maxLength: 20 },
);

describe('the PUBLISH tap', () => {
  for (const protocolVersion of [4, 5] as const) {
    it(`finds every packet however MQTT ${protocolVersion} bytes are cut into chunks`, () => {
      fc.assert(
        fc.property(packets, fc.array(fc.integer({ min: 1, max: 50 })), (list, sizes) => {
          const { frames, seen } = tap(protocolVersion === 5);
          const ping = Buffer.from([0xd0, 0]);
          const bytes = list.flatMap((fields) => [
            generate(publish(fields), { protocolVersion }),
            ping,
          ]);
          feed(frames, Buffer.concat(bytes), sizes);
          expect(seen.publishes).toEqual(
            list.map(({ topic, qos, messageId, payload }) => {
              const id = qos === 0 ? 0 : messageId;
              return [topic, qos, id, payload.toString('hex'), undefined];
            }),
          );
          expect(seen.control).toEqual(list.flatMap(() => [13, 2]));
          expect(seen.malformed).toBeNull();
        }),
        { numRuns: 150 },
      );
    });

    it(`skips a payload above the bound in MQTT ${protocolVersion} and goes on behind it`, () => {
      const { frames, seen } = tap(protocolVersion === 5);
      const big = publish({ payload: Buffer.alloc(300_000), messageId: 9 });
      const slightly = publish({ payload: Buffer.alloc(1001), messageId: 10 });
      const exactly = publish({ payload: Buffer.alloc(1000), messageId: 11 });
      const bytes = [big, slightly, exactly].map((each) => generate(each, { protocolVersion }));
      feed(
        frames,
        Buffer.concat(bytes),
        Array.from({ length: 300 }, () => 1000),
      );
      expect(seen.oversize).toEqual([
        ['a/b', 1, 9],
        ['a/b', 1, 10],
      ]);
      expect(seen.publishes).toHaveLength(1);
    });
  }

  it('keeps user properties, content type and response topic of MQTT 5', () => {
    const { frames, seen } = tap(true);
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      contentType: 'application/json',
      responseTopic: 'answer',
      correlationData: Buffer.from('c'),
      userProperties: { site: 'lyon', __proto__x: '1' },
      subscriptionIdentifier: 3,
    };
    frames.feed(generate(publish({ properties }), { protocolVersion: 5 }));
    expect(seen.publishes).toEqual([
      [
        'a/b',
        1,
        7,
        '78',
        {
          contentType: 'application/json',
          responseTopic: 'answer',
          userProperties: { site: 'lyon', __proto__x: '1' },
        },
      ],
    ]);
  });

  it('stops at the very message at which it is paused, and resumes behind it', () => {
    const bytes = Buffer.concat(
      [1, 2, 3].map((messageId) => generate(publish({ messageId }), { protocolVersion: 4 })),
    );
    const ids: number[] = [];
    const frames: MqttFrames = new MqttFrames(
      {
        publish: (_topic, _flags, id) => {
          ids.push(id);
          if (id === 1) frames.pause();
        },
        oversize: () => undefined,
        control: () => undefined,
        malformed: () => undefined,
      },
      { properties: false, payloadBytesMax: 100 },
    );
    frames.feed(bytes);
    frames.feed(generate(publish({ messageId: 4 }), { protocolVersion: 4 }));
    expect(ids).toEqual([1]);
    expect(frames.resume()).toBe(true);
    expect(ids).toEqual([1, 2, 3, 4]);
  });

  it.each([
    ['QoS 3', [0x36, 5, 0, 1, 97, 0, 1]],
    ['QoS 2 that was not asked for', [0x34, 5, 0, 1, 97, 0, 1]],
    ['a length of five bytes', [0x30, 0x80, 0x80, 0x80, 0x80, 1]],
    ['a topic longer than its packet', [0x30, 3, 0, 9, 97]],
    ['a PUBLISH without a topic', [0x30, 1, 0]],
    ['a control packet of a megabyte', [0x90, 0x80, 0x80, 0x40]],
  ])('refuses %s', (_name, bytes) => {
    const { frames, seen } = tap(false);
    frames.feed(Buffer.from(bytes));
    expect(seen.malformed).not.toBeNull();
    expect(seen.publishes).toEqual([]);
  });

  it.each([
    ['an unknown property', [0x30, 5, 0, 1, 97, 1, 0x7f]],
    ['properties longer than their packet', [0x30, 5, 0, 1, 97, 9, 1]],
    ['a property cut short', [0x30, 6, 0, 1, 97, 2, 2, 1]],
    ['a topic alias, of which we allow none', [0x30, 7, 0, 1, 97, 3, 0x23, 0, 1]],
  ])('refuses %s', (_name, bytes) => {
    const { frames, seen } = tap(true);
    frames.feed(Buffer.from(bytes));
    expect(seen.malformed).not.toBeNull();
  });

  it('never throws on noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, properties) => {
        tap(properties).frames.feed(Buffer.from(noise));
      }),
    );
  });
});
