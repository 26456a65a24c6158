/**
 * Writes records of files into the journal of a data directory, in the agent's own format, before
 * the agent opens it.
 *
 * Inputs merge by time, then by their order, as for a stream job's dry-run; a record's time is its
 * arrival. Lines that only move `now` or a watermark say nothing to a batch job and are skipped.
 * Memory is bounded by one commit (`BYTES_PER_COMMIT`).
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { DryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import type { CheckpointStore } from '../../checkpoints/checkpoint-store.ts';
import { BlockWriter } from '../../journal/block-writer.ts';
import { Journal } from '../../journal/journal.ts';
import type { JournalSource } from './journal-inputs.ts';

export interface JournalInput extends JournalSource {
  readonly chunks: AsyncIterable<readonly DryRunEntry[]>;
}

type RecordEntry = Extract<DryRunEntry, { kind: 'record' }>;

const BYTES_PER_COMMIT = 4 * 1024 * 1024;

/** Returns how many records were written, by input. */
export async function fillJournal(
  store: CheckpointStore,
  inputs: readonly JournalInput[],
): Promise<number[]> {
  const journal = new Journal(store, { bytesMax: Infinity, ageMsMax: Infinity });
  const counts = inputs.map(() => 0);
  let writers: BlockWriter[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (writers.length === 0) return;
    await store.commit((tx) => journal.append(tx, writers, journal.runMs));
    journal.committed();
    writers = [];
    bytes = 0;
  };
  for await (const { input, entry } of merged(inputs)) {
    const { topic, payload, meta } = entry.record;
    const { connector, codec } = inputs[input]!;
    const content = contentOf(payload as Json, codec);
    const size = content.length + topic.length * 3;
    let writer = writers.at(-1);
    if (writer === undefined || !writer.fits(size)) {
      writer = new BlockWriter(journal.nextBlock + writers.length);
      writers.push(writer);
    }
    const hasMeta = Object.keys(meta).length > 0;
    const metaText = hasMeta ? JSON.stringify(meta) : undefined;
    writer.record(connector, topic, content, metaText, entry.timeMs);
    counts[input]! += 1;
    bytes += size;
    if (bytes >= BYTES_PER_COMMIT) await flush();
  }
  await flush();
  return counts;
}

/** What the codec decodes to this payload. */
function contentOf(payload: Json, codec: JournalSource['codec']): Buffer {
  if (codec === 'json' || typeof payload !== 'string') return Buffer.from(JSON.stringify(payload));
  return Buffer.from(payload, codec === 'bytes' ? 'base64' : 'utf8');
}

async function* merged(
  inputs: readonly JournalInput[],
): AsyncGenerator<{ readonly input: number; readonly entry: RecordEntry }> {
  const cursors = inputs.map(({ chunks }) => recordsOf(chunks));
  const heads = await Promise.all(cursors.map((cursor) => cursor.next()));
  for (;;) {
    let first = -1;
    for (const [at, head] of heads.entries()) {
      if (head.done === true) continue;
      const best = heads[first];
      if (best === undefined || best.done === true || head.value.timeMs < best.value.timeMs) {
        first = at;
      }
    }
    const head = heads[first];
    if (head === undefined || head.done === true) return;
    yield { input: first, entry: head.value };
    heads[first] = await cursors[first]!.next();
  }
}

async function* recordsOf(
  chunks: AsyncIterable<readonly DryRunEntry[]>,
): AsyncGenerator<RecordEntry> {
  for await (const chunk of chunks) {
    for (const entry of chunk) if (entry.kind === 'record') yield entry;
  }
}
