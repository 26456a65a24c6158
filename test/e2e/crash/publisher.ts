/**
 * A sensor gateway at QoS 1 with a persistent session: what was not acknowledged is sent again,
 * whatever died meanwhile. It counts what was acknowledged, so that nothing can be blamed on it.
 */
import mqtt, { type MqttClient } from 'mqtt';
import { pause } from '../../support/pause.ts';
import type { Message } from './workload.ts';

const IN_FLIGHT_MAX = 300;

export class Publisher {
  acknowledged = 0;
  readonly #client: MqttClient;

  constructor(port: number) {
    this.#client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      clientId: 'gateway',
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 100,
      connectTimeout: 2000,
      keepalive: 5,
    });
    // Refused connections are this test's daily bread; MQTT.js tries again by itself.
    this.#client.on('error', () => undefined);
  }

  /** Publishes in order, at most `perSecond`, calling `progress` with how many have been given. */
  async publish(
    messages: readonly Message[],
    perSecond: number,
    progress: (given: number) => void,
  ): Promise<void> {
    const started = performance.now();
    let given = 0;
    let settle: () => void = () => undefined;
    for (const message of messages) {
      while (given - this.acknowledged >= IN_FLIGHT_MAX) {
        await new Promise<void>((resolve) => {
          settle = resolve;
        });
      }
      this.#client.publish(message.topic, message.payload, { qos: 1 }, () => {
        this.acknowledged += 1;
        settle();
      });
      given += 1;
      progress(given);
      const early = (given / perSecond) * 1000 - (performance.now() - started);
      if (early > 5) await pause(early);
    }
  }

  async end(): Promise<void> {
    await this.#client.endAsync(true);
  }
}
