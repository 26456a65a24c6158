/**
 * A message that no PUBLISH packet at QoS 0 or 1 brought: a will, a QoS 2 message in aedes' hands,
 * or what a sink of this agent publishes. `done` hears of its fate once.
 */
import type { BrokerMessage, MessageOrigin } from './broker-message.ts';

export class InternalOrigin implements MessageOrigin {
  readonly clientId: string;
  readonly resends = false;
  readonly #done: (message: BrokerMessage, lost: string | null) => void;
  #lost: string | null = null;

  constructor(clientId: string, done: (message: BrokerMessage, lost: string | null) => void) {
    this.clientId = clientId;
    this.#done = done;
  }

  settled(message: BrokerMessage): void {
    this.#done(message, this.#lost);
  }

  lost(reason: string): void {
    this.#lost ??= reason;
  }

  /** One message: there is nothing to hold; its `done` is the backpressure. */
  holdFor(): void {}
}
