/**
 * Layout of the store, format 1.
 *
 * | database    | key                               | value                                     |
 * |-------------|-----------------------------------|-------------------------------------------|
 * | journal     | block number, from 1              | journal block (journal/block-format.ts)   |
 * | meta        | `[kind, …]`                       | versioned MessagePack (`encodeVersioned`) |
 * | state       | slot u32 BE, step u16 BE, key     | version byte, MessagePack                 |
 * | ring        | `[source, chunk]`                 | the source's own chunk                    |
 * | outbox      | `[kind, …]` (outbox/row-lane.ts)  | lane records and chunks of rows           |
 * | deadletters | number, from 1                    | versioned MessagePack                     |
 * | batch       | `[kind, …]` (batch/records.ts)    | versioned MessagePack                     |
 *
 * `meta` holds `['format']`, and by kind: `job`, `counters`, `source`, `garbage`, `slots`,
 * `journal`, `sla` (sla/sla-record.ts).
 * A store whose format is newer than FORMAT is refused and left as it is (I11).
 */
import { Packr } from 'msgpackr';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

export const FORMAT = 1;

export const DATABASES = {
  journal: {},
  meta: {},
  state: { keyEncoding: 'binary' },
  ring: {},
  outbox: {},
  deadletters: {},
  batch: {},
} as const;

export type DbName = keyof typeof DATABASES;

/** No record extension, so that a value can be read without what was written before it. */
const packr = new Packr({ useRecords: false, int64AsType: 'number' });

/** A version byte, then MessagePack. */
export function encodeVersioned(version: number, value: unknown): Buffer {
  const packed = packr.pack(value);
  const bytes = Buffer.allocUnsafe(packed.length + 1);
  bytes[0] = version;
  bytes.set(packed, 1);
  return bytes;
}

/** Refuses a version that is newer than `newest`; `what` names the value in the error. */
export function decodeVersioned<T>(what: string, newest: number, bytes: Uint8Array): T {
  const version = bytes[0];
  if (version === undefined || version === 0 || version > newest) {
    throw new RunnelError(
      'store_format_newer',
      `${what} has format ${version}, at most ${newest}`,
      {
        hint: 'This data was written by a newer agent; run that version, or a new data directory.',
      },
    );
  }
  return packr.unpack(bytes.subarray(1)) as T;
}

/** Writes the format into a new store; refuses one that is newer. */
export async function checkFormat(store: CheckpointStore): Promise<void> {
  const stored = store.get('meta', ['format']);
  if (stored !== undefined) {
    decodeVersioned<unknown>('the store', FORMAT, stored);
    return;
  }
  await store.commit((tx) => tx.put('meta', ['format'], encodeVersioned(FORMAT, {})));
}
