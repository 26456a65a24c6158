/**
 * The load of every benchmark: the same messages at the same rate to 127.0.0.1, bounded in count.
 * It runs in a process of its own (bench.ts starts it), so that its CPU counts for nobody.
 */
import mqtt from 'mqtt';

const IN_FLIGHT_MAX = 2000;

export interface LoadOptions {
  readonly port: number;
  readonly messages: number;
  readonly perSecond: number;
}

/** Payload number `index` of the load: 100 keys, event time in order, a value that varies. */
export function payloadOf(index: number, nowMs: number): string {
  const machine = `m${index % 100}`;
  const rms = ((index * 7919) % 1000) / 1000;
  return JSON.stringify({ machine, ts: nowMs, rms, status: 'ok', sent: nowMs, i: index });
}

export async function publishLoad({ port, messages, perSecond }: LoadOptions): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4 });
  const started = performance.now();
  let open = 0;
  let given = 0;
  while (given < messages) {
    const due = Math.min(messages, ((performance.now() - started) / 1000) * perSecond);
    while (given < due && open < IN_FLIGHT_MAX) {
      open += 1;
      const payload = payloadOf(given, Date.now());
      client.publish(`press/m${given % 100}/vibration`, payload, { qos: 1 }, () => {
        open -= 1;
      });
      given += 1;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
  while (open > 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  await client.endAsync();
}
