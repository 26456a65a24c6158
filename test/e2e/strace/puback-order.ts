/**
 * Judges a trace: did every PUBACK leave the process only after the commit of its record was on
 * disk? For each acknowledged packet there must be, in this order:
 *
 *   read from the broker's socket (holds the PUBLISH)
 *     < write to the store < sync of the store begins < sync ends
 *       < write to the broker's socket (holds the PUBACK)
 */
import { type Parser, parser } from 'mqtt-packet';
import type { Syscall } from './syscalls.ts';

const READS = new Set(['read', 'recvfrom', 'recvmsg', 'readv']);
const WRITES = new Set(['write', 'writev', 'sendto', 'sendmsg']);
const STORE_WRITES = new Set(['pwrite64', 'pwritev', 'pwritev2', 'write', 'writev', 'msync']);
const SYNCS = new Set(['fdatasync', 'fsync', 'msync']);

export interface Verdict {
  /** PUBACKs seen. */
  readonly acknowledged: number;
  /** Those that left too early, as sentences. */
  readonly early: readonly string[];
}

interface Connection {
  readonly arrived: Map<number, number>;
  readonly incoming: Parser;
  readonly outgoing: Parser;
  now: Syscall | undefined;
}

export function judgePubacks(
  calls: readonly Syscall[],
  brokerPort: number,
  protocolVersion: 4 | 5,
): Verdict {
  const store = calls.filter((call) => call.target.includes('data.mdb') && call.result >= 0);
  const writes = store.filter((call) => STORE_WRITES.has(call.name));
  const syncs = store.filter((call) => SYNCS.has(call.name));
  const connections = new Map<string, Connection>();
  const early: string[] = [];
  let acknowledged = 0;

  const open = (): Connection => {
    const connection: Connection = {
      arrived: new Map(),
      incoming: parser({ protocolVersion }),
      outgoing: parser({ protocolVersion }),
      now: undefined,
    };
    connection.incoming.on('packet', (packet) => {
      if (packet.cmd !== 'publish' || packet.qos === 0) return;
      connection.arrived.set(packet.messageId as number, connection.now?.end ?? 0);
    });
    connection.outgoing.on('packet', (packet) => {
      if (packet.cmd !== 'puback') return;
      acknowledged += 1;
      const arrived = connection.arrived.get(packet.messageId as number) ?? 0;
      const left = connection.now?.start ?? 0;
      const written = writes.find((call) => call.start >= arrived && call.end <= left);
      const synced =
        written !== undefined &&
        syncs.some((call) => call.start >= written.end && call.end <= left);
      if (!synced)
        early.push(`PUBACK ${packet.messageId} left at ${left}, not synced since ${arrived}`);
    });
    return connection;
  };

  for (const call of calls) {
    if (!call.target.includes(`127.0.0.1:${brokerPort}`) || call.result <= 0) continue;
    const connection = connections.get(call.target) ?? open();
    connections.set(call.target, connection);
    connection.now = call;
    const bytes = call.bytes.subarray(0, call.result);
    if (READS.has(call.name)) connection.incoming.parse(bytes);
    else if (WRITES.has(call.name)) connection.outgoing.parse(bytes);
  }
  return { acknowledged, early };
}
