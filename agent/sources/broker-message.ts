/**
 * A message on its way from a publisher through the sources of the embedded broker.
 *
 * It is settled when every source that took it has committed it; only then its publisher hears of
 * it and local subscribers get it (nothing leaves the process before its commit).
 */
import type { Topic } from './topic-cache.ts';

export interface MessageOrigin {
  readonly clientId: string;
  /** A publisher that sends again what was not acknowledged (clean session off). */
  readonly resends: boolean;
  /** Every taker has committed this message. */
  settled(message: BrokerMessage): void;
  /** A commit failed: the publisher must send again. */
  lost(reason: string): void;
  /** A taker is full: no more messages from here until it says `goOn`. */
  holdFor(taker: Taker): void;
}

export interface BrokerMessage {
  readonly origin: MessageOrigin;
  readonly topic: Topic;
  readonly payload: Buffer;
  readonly flags: number;
  /** 0 for QoS 0 and for messages made inside the agent. */
  readonly packetId: number;
  readonly crc: number;
  /** Takers that have not committed it yet. */
  waiting: number;
}

/** A source of the embedded broker. */
export interface Taker {
  matches(topic: string): boolean;
  /** False: it was taken, and the origin must be held. */
  take(message: BrokerMessage): boolean;
  /** True when this source committed the message before its acknowledgement was lost. */
  recognises(message: BrokerMessage): boolean;
  /** A client's session begins; `resends` as in MessageOrigin. */
  opened(origin: MessageOrigin): void;
  closed(origin: MessageOrigin): void;
  tooLarge(): void;
  listening(error: string | null): void;
}

export function decrement(message: BrokerMessage): void {
  message.waiting -= 1;
  if (message.waiting === 0) message.origin.settled(message);
}
