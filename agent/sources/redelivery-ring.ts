/**
 * Remembers, per session, which messages were committed last, so that a redelivery of them is
 * acknowledged and not counted twice (I2).
 *
 * A commit that was flushed but whose PUBACK was lost is redelivered, and so is what was never
 * processed: DUP alone proves nothing. Each commit therefore stores, in its own transaction, one
 * chunk with packet id and CRC-32 of topic and payload of every message that it will acknowledge.
 * A source looks them up after a resumed session only, and until the first message that is new:
 * in order, so what was committed comes first.
 *
 * Chunk, version 1, integers big-endian: `version u8`, then groups of
 * `clientIdBytes u16, clientId utf8, flags u8, count u32, count × (packetId u16, crc u32)`.
 * Flag 1 says that whatever older chunks hold of this client is void (its session was lost). The
 * client id is empty where the source itself is the client.
 *
 * Bounds: `entriesMax` messages (at least the receive maximum), in `chunksMax` chunks at most;
 * then the commit writes one merged chunk. When all clients together exceed `entriesMax`, those
 * with the most entries lose their oldest, so that a busy publisher cannot push out a quiet one.
 * An unknown version is refused: counting twice by mistake would be worse than an error.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { SourceCommit } from './source.ts';

const VERSION = 1;
const ENTRY_BYTES = 6;
const FORGET_OLDER = 1;

export interface RingOptions {
  readonly entriesMax: number;
  readonly chunksMax?: number;
}

/** Packet id and CRC in turn: `[id, crc, id, crc, …]`, oldest first. */
type Entries = number[];

interface Chunk {
  readonly bytes: Uint8Array;
  readonly entries: number;
}

interface Group {
  readonly clientId: string;
  readonly forgetOlder: boolean;
  readonly entries: Entries;
}

interface Staged {
  readonly chunk: Chunk | null;
  /** How many chunks stay, the new one included. */
  readonly kept: number | undefined;
  readonly forgotten: ReadonlySet<string>;
  /** The clients of a merged chunk. */
  readonly remaining?: Set<string>;
}

export class RedeliveryRing {
  readonly #entriesMax: number;
  readonly #chunksMax: number;
  #chunks: Chunk[];
  /** What the next commit acknowledges. */
  #gathered = new Map<string, Entries>();
  /** Clients whose older entries are void; not stored yet. */
  #forgotten = new Set<string>();
  #staged: Staged | null = null;
  /** Client ids with entries, so that most new sessions cost no search. */
  #clients: Set<string>;

  constructor(options: RingOptions, stored: readonly Uint8Array[]) {
    this.#entriesMax = options.entriesMax;
    this.#chunksMax = options.chunksMax ?? 64;
    this.#chunks = stored.map((bytes) => ({ bytes, entries: countEntries(bytes) }));
    const groups = stored.flatMap((bytes) => decodeChunk(bytes));
    this.#clients = new Set(groups.map((group) => group.clientId));
  }

  /** True when something is stored: then a lost session must be cleared before a new one opens. */
  get stored(): boolean {
    return this.#chunks.length > 0;
  }

  /** Whether anything of this client may be stored. */
  has(clientId: string): boolean {
    return this.#clients.has(clientId);
  }

  /** A message of the commit in preparation. */
  add(clientId: string, packetId: number, crc: number): void {
    const entries = this.#gathered.get(clientId);
    if (entries === undefined) {
      this.#gathered.set(clientId, [packetId, crc]);
      this.#clients.add(clientId);
    } else entries.push(packetId, crc);
  }

  /** The session of this client is lost: nothing of it can be redelivered. */
  forget(clientId: string): void {
    this.#forgotten.add(clientId);
  }

  /** What the commit stores; `committed` or `discarded` follows. */
  prepare(): Pick<SourceCommit, 'ringChunk' | 'ringChunksKept'> {
    const staged = this.#stage();
    this.#staged = staged;
    return {
      ...(staged.chunk !== null && { ringChunk: staged.chunk.bytes }),
      ...(staged.kept !== undefined && { ringChunksKept: staged.kept }),
    };
  }

  committed(): void {
    const staged = this.#staged;
    if (staged === null) return;
    if (staged.chunk !== null) this.#chunks.push(staged.chunk);
    if (staged.kept !== undefined) {
      this.#chunks = staged.kept === 0 ? [] : this.#chunks.slice(-staged.kept);
    }
    if (staged.remaining !== undefined) this.#clients = staged.remaining;
    this.#gathered.clear();
    this.#staged = null;
  }

  discarded(): void {
    for (const clientId of this.#staged?.forgotten ?? []) this.#forgotten.add(clientId);
    this.#gathered.clear();
    this.#staged = null;
  }

  /** Packet ids of this client that were committed, each with the CRC it had last. */
  lookup(clientId: string): Map<number, number> {
    const found = new Map<number, number>();
    for (const chunk of this.#chunks) {
      for (const group of decodeChunk(chunk.bytes)) {
        if (group.clientId !== clientId) continue;
        if (group.forgetOlder) found.clear();
        for (let at = 0; at < group.entries.length; at += 2) {
          found.set(group.entries[at] as number, group.entries[at + 1] as number);
        }
      }
    }
    const forgotten = this.#forgotten.has(clientId) || this.#staged?.forgotten.has(clientId);
    if (forgotten === true) found.clear();
    return found;
  }

  #stage(): Staged {
    const forgotten = this.#forgotten;
    this.#forgotten = new Set();
    if (this.#gathered.size === 0 && forgotten.size === 0) {
      return { chunk: null, kept: undefined, forgotten };
    }
    const clients = new Set([...forgotten, ...this.#gathered.keys()]);
    const groups = [...clients].map((clientId) => ({
      clientId,
      forgetOlder: forgotten.has(clientId),
      entries: this.#gathered.get(clientId) ?? [],
    }));
    const total = this.#chunks.reduce((sum, chunk) => sum + chunk.entries, 0);
    const full = this.#chunks.length >= this.#chunksMax || total > 2 * this.#entriesMax;
    if (!full && forgotten.size === 0) {
      return { chunk: encodeChunk(groups), kept: undefined, forgotten };
    }
    const merged = this.#merge(groups);
    const remaining = new Set(merged.map((group) => group.clientId));
    if (merged.length === 0) return { chunk: null, kept: 0, forgotten, remaining };
    return { chunk: encodeChunk(merged), kept: 1, forgotten, remaining };
  }

  /** Everything in one chunk, without what is void and without the oldest beyond the bound. */
  #merge(newest: readonly Group[]): Group[] {
    const byClient = new Map<string, Entries>();
    const stored = this.#chunks.flatMap((chunk) => decodeChunk(chunk.bytes));
    for (const group of [...stored, ...newest]) {
      const older = group.forgetOlder ? [] : (byClient.get(group.clientId) ?? []);
      byClient.delete(group.clientId);
      byClient.set(group.clientId, [...older, ...group.entries]);
    }
    const share = fairShare([...byClient.values()], this.#entriesMax);
    return [...byClient]
      .filter(([, entries]) => entries.length > 0)
      .slice(-this.#entriesMax)
      .map(([clientId, entries]) => ({
        clientId,
        forgetOlder: false,
        entries: entries.slice(-2 * share),
      }));
  }
}

/** The largest halving of `entriesMax` that each client may keep so that all fit. */
function fairShare(clients: readonly Entries[], entriesMax: number): number {
  let share = entriesMax;
  const fits = (): boolean =>
    clients.reduce((sum, entries) => sum + Math.min(entries.length / 2, share), 0) <= entriesMax;
  while (share > 1 && !fits()) share = Math.ceil(share / 2);
  return share;
}

function encodeChunk(groups: readonly Group[]): Chunk {
  const ids = groups.map((group) => Buffer.from(group.clientId, 'utf8'));
  const size = groups.reduce(
    (sum, group, index) =>
      sum + 7 + (ids[index]?.length ?? 0) + (group.entries.length / 2) * ENTRY_BYTES,
    1,
  );
  const bytes = Buffer.allocUnsafe(size);
  let at = bytes.writeUInt8(VERSION, 0);
  let count = 0;
  groups.forEach((group, index) => {
    const id = ids[index] ?? Buffer.alloc(0);
    at = bytes.writeUInt16BE(id.length, at);
    at += id.copy(bytes, at);
    at = bytes.writeUInt8(group.forgetOlder ? FORGET_OLDER : 0, at);
    at = bytes.writeUInt32BE(group.entries.length / 2, at);
    for (let entry = 0; entry < group.entries.length; entry += 2) {
      at = bytes.writeUInt16BE(group.entries[entry] as number, at);
      at = bytes.writeUInt32BE(group.entries[entry + 1] as number, at);
    }
    count += group.entries.length / 2;
  });
  return { bytes, entries: count };
}

function decodeChunk(chunk: Uint8Array): Group[] {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (bytes.length === 0 || bytes[0] !== VERSION) {
    throw new RunnelError('ring_unreadable', `redelivery ring: version ${bytes[0]} is unknown`, {
      hint: 'run the agent version that wrote this data directory, or a newer one',
    });
  }
  const groups: Group[] = [];
  for (let at = 1; at < bytes.length;) {
    const idEnd = at + 2 + bytes.readUInt16BE(at);
    const clientId = bytes.toString('utf8', at + 2, idEnd);
    const forgetOlder = (bytes.readUInt8(idEnd) & FORGET_OLDER) !== 0;
    const count = bytes.readUInt32BE(idEnd + 1);
    at = idEnd + 5;
    const entries: Entries = [];
    for (let index = 0; index < count; index += 1, at += ENTRY_BYTES) {
      entries.push(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    }
    groups.push({ clientId, forgetOlder, entries });
  }
  return groups;
}

function countEntries(chunk: Uint8Array): number {
  return decodeChunk(chunk).reduce((sum, group) => sum + group.entries.length / 2, 0);
}
