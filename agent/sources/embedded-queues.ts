/**
 * Bounds for what aedes keeps in memory for its subscribers: retained messages, and what waits for
 * clients with persistent sessions that are away or do not acknowledge. aedes itself has none.
 *
 * Policy when full: drop the newest, counted by reason.
 */
import { RunnelError } from '@runnel/shared/errors.ts';

export interface QueueBounds {
  readonly retainedTopicsMax: number;
  readonly retainedBytesMax: number;
  readonly queuedPerClientMax: number;
  readonly queuedBytesMax: number;
}

export const queueBounds: QueueBounds = {
  retainedTopicsMax: 10_000,
  retainedBytesMax: 16 * 1024 * 1024,
  queuedPerClientMax: 1000,
  queuedBytesMax: 32 * 1024 * 1024,
};

interface Packet {
  readonly topic: string;
  readonly payload: Buffer | string;
}

/** The part of aedes' persistence interface that stores messages. */
export interface MessagePersistence {
  storeRetained(packet: Packet): Promise<void>;
  outgoingEnqueue(sub: { clientId: string }, packet: Packet): Promise<void>;
  outgoingEnqueueCombi(subs: readonly { clientId: string }[], packet: Packet): Promise<void>;
  outgoingClearMessageId(client: { id: string }, packet: unknown): Promise<Packet | undefined>;
}

export function boundQueues(
  persistence: MessagePersistence,
  bounds: QueueBounds,
  dropped: (reason: string) => void,
): void {
  for (const name of ['storeRetained', 'outgoingEnqueueCombi', 'outgoingClearMessageId'] as const) {
    if (typeof persistence[name] !== 'function') {
      throw new RunnelError('broker_unusable', `aedes' persistence has no ${name}`);
    }
  }
  boundRetained(persistence, bounds, dropped);
  boundOutgoing(persistence, bounds, dropped);
}

function boundRetained(
  persistence: MessagePersistence,
  bounds: QueueBounds,
  dropped: (reason: string) => void,
): void {
  const store = persistence.storeRetained.bind(persistence);
  const sizes = new Map<string, number>();
  let total = 0;
  persistence.storeRetained = async (packet) => {
    const size = packet.payload.length === 0 ? 0 : packet.payload.length + packet.topic.length;
    const old = sizes.get(packet.topic);
    const full =
      (old === undefined && sizes.size >= bounds.retainedTopicsMax) ||
      total - (old ?? 0) + size > bounds.retainedBytesMax;
    if (size > 0 && full) {
      dropped('retained_full');
      return;
    }
    total += size - (old ?? 0);
    if (size === 0) sizes.delete(packet.topic);
    else sizes.set(packet.topic, size);
    await store(packet);
  };
}

function boundOutgoing(
  persistence: MessagePersistence,
  bounds: QueueBounds,
  dropped: (reason: string) => void,
): void {
  const enqueue = persistence.outgoingEnqueueCombi.bind(persistence);
  const clear = persistence.outgoingClearMessageId.bind(persistence);
  const queued = new Map<string, number>();
  let total = 0;
  const takes = (clientId: string, size: number): boolean => {
    const count = queued.get(clientId) ?? 0;
    if (count >= bounds.queuedPerClientMax || total + size > bounds.queuedBytesMax) {
      dropped('subscriber_queue_full');
      return false;
    }
    queued.set(clientId, count + 1);
    total += size;
    return true;
  };
  persistence.outgoingEnqueueCombi = async (subs, packet) => {
    const room = subs.filter((sub) => takes(sub.clientId, packet.payload.length));
    if (room.length > 0) await enqueue(room, packet);
  };
  persistence.outgoingEnqueue = async (sub, packet) =>
    persistence.outgoingEnqueueCombi([sub], packet);
  persistence.outgoingClearMessageId = async (client, packet) => {
    const cleared = await clear(client, packet);
    if (cleared !== undefined) {
      const count = (queued.get(client.id) ?? 1) - 1;
      if (count > 0) queued.set(client.id, count);
      else queued.delete(client.id);
      total -= cleared.payload?.length ?? 0;
    }
    return cleared;
  };
}
