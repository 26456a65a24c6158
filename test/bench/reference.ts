/**
 * The reference: MQTT.js at QoS 1 that parses each payload and does nothing else. MQTT 5 with the
 * agent's receive maximum, acknowledging at once.
 */
import mqtt from 'mqtt';
import { limits } from '@runnel/shared/limits.ts';

/** Writes `ready` when it is subscribed and `done` when `messages` were parsed; then waits. */
export async function runReference(port: number, messages: number): Promise<void> {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    clientId: 'reference',
    properties: { receiveMaximum: limits.receiveMaximum },
  });
  let parsed = 0;
  let total = 0;
  client.on('message', (_topic, payload) => {
    const record = JSON.parse(payload.toString()) as { rms: number };
    total += record.rms;
    parsed += 1;
    if (parsed === messages) process.stdout.write(`done ${total}\n`);
  });
  await new Promise<void>((resolve) => {
    client.once('connect', () => resolve());
  });
  await client.subscribeAsync('press/+/vibration', { qos: 1 });
  process.stdout.write('ready\n');
}
