/**
 * Bad input from sensors: each a counted drop or dead letter, and the rest goes on. One site, real
 * mosquitto; good records are mixed with every kind of bad one, and only the good ones count.
 */
import mqtt from 'mqtt';
import { expect, it } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { get, readAll } from './crash/audit.ts';
import { Site } from './crash/site.ts';

const YEARS_MS = 10 * 365 * 86_400_000;
const TOPICS = 10_000;

function job(port: number): string {
  return `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: bad-input }
sources:
  readings:
    mqtt: { url: "mqtt://127.0.0.1:${port}", topic: "press/#", qos: 1 }
    time: "payload.ts"
    maxOutOfOrderness: 1m
steps:
  - filter: "payload.v >= 0"
  - id: totals
    window: { tumbling: 10s, by: "payload.machine" }
    aggregate: { n: "count()", total: "sum(payload.v)" }
sinks:
  - { from: totals, results: { dataset: totals } }
`;
}

/** Bad payloads by the reason under which they must be counted. */
function badPayloads(now: number): Record<string, (string | Buffer)[]> {
  return {
    bad_json: ['{"machine": "m1", "ts"', 'NaN', '{"v": NaN}', '', Buffer.from([0xff, 0xfe, 0])],
    missing_key: ['{}', '{"machine":"m1","v":1}', `{"machine":"m1","ts":${now}}`],
    wrong_type: [`{"machine":"m1","ts":${now},"v":"high"}`, '[1,2,3]', '"text"', '42'],
    null_value: [`{"machine":"m1","ts":${now},"v":null}`],
    max_ahead: [`{"machine":"m1","ts":${now + YEARS_MS},"v":1}`],
  };
}

interface AgentItem {
  readonly connection: string;
  readonly jobs: { readonly name: string; readonly phase: string; readonly deadLetters: number }[];
}

describeWith(['mosquitto'], 'bad records', () => {
  it('are counted, and every good record among them is right', async () => {
    const site = await Site.start({ dir: tempDir('bad-records'), broker: 'mosquitto' });
    const client = mqtt.connect(`mqtt://127.0.0.1:${site.brokerPort}`, { protocolVersion: 4 });
    try {
      await site.apply(job(site.brokerPort));
      await site.running('bad-input');
      await site.connected();
      const now = Date.now();
      const windowStart = now - (now % 10_000);
      const good = (v: number): string =>
        JSON.stringify({ machine: 'good', ts: windowStart + (v % 10_000), v });
      const sent: Promise<unknown>[] = [];
      const send = (topic: string, payload: string | Buffer): void => {
        sent.push(client.publishAsync(topic, payload, { qos: 1 }));
      };
      let bad = 0;
      let total = 0;
      for (const payloads of Object.values(badPayloads(now))) {
        for (const payload of payloads) {
          send('press/bad', payload);
          send('press/good', good(bad));
          total += bad;
          bad += 1;
        }
      }
      send('press/deep', `${'['.repeat(50_000)}${']'.repeat(50_000)}`);
      send(
        'press/big',
        JSON.stringify({ machine: 'big', ts: now, v: 1, x: 'x'.repeat(1_000_000) }),
      );
      send('press/bigger', Buffer.alloc(2 * 1024 * 1024, 0x20));
      for (let index = 0; index < TOPICS; index += 1) {
        send(`press/many/${index}`, JSON.stringify({ machine: 'many', ts: windowStart, v: 1 }));
      }
      send('press/end', JSON.stringify({ machine: 'end', ts: now + 3 * 60_000, v: 0 }));
      await Promise.all(sent);

      const rows = await waitFor(
        'the windows',
        async () => {
          const found = await readAll(site.api, 'totals');
          return found.some((row) => row.key === 'many') ? found : undefined;
        },
        30_000,
      );
      const of = (key: string): unknown[] =>
        rows.filter((row) => row.key === key).map((row) => row.value);
      expect(of('good')).toEqual([{ n: bad, total }]);
      expect(of('many')).toEqual([{ n: TOPICS, total: TOPICS }]);
      expect(of('big')).toEqual([{ n: 1, total: 1 }]);
      const report = await waitFor(
        `a heartbeat with ${bad + 1} dead letters`,
        async () => {
          const agent = await get<AgentItem>(site.api, '/agents/site-1');
          const found = agent.jobs.find((one) => one.name === 'bad-input');
          if (found === undefined || found.deadLetters < bad + 1)
            throw new Error(JSON.stringify(found));
          return found;
        },
        30_000,
      );
      expect(report.phase).toBe('running');
      expect(site.agentRunning).toBe(true);
    } catch (error) {
      throw new Error(site.logs(), { cause: error });
    } finally {
      await client.endAsync(true);
      await site.stop();
    }
  }, 120_000);
});
