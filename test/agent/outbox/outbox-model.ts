/**
 * The outbox beside a model that knows every row: which were committed, given out, acknowledged.
 * After every step it compares: what a block holds, what is still on disk, what was dropped.
 */
import { expect } from 'vitest';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { Outbox } from '@runnel/agent/outbox/outbox.ts';
import { chunkTexts } from '@runnel/agent/outbox/row-chunk.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import { LANES, type Lane, type ResultBlock } from '@runnel/shared/protocol/results.ts';
import { Committer } from './open-test-store.ts';

export const OUTBOX_BYTES_MAX = 6000;
/** A tenth of the rows is larger. */
const OUTBOX_ROW_BYTES_MAX = 320;

interface ModelLane {
  /** Text by seq - 1. */
  readonly texts: string[];
  /** What the control plane has said. */
  mark: number;
  /** Given out by this process and not acknowledged. */
  inFlight: number;
  dropped: Set<number>;
}

interface ModelEpoch {
  readonly epoch: string;
  readonly order: number;
  readonly lanes: Record<Lane, ModelLane>;
}

const none = (): Record<Lane, string[]> => ({ alerts: [], urgent: [], results: [], bulk: [] });

export class OutboxModel {
  readonly #store: CheckpointStore;
  readonly #committer: Committer;
  readonly #epochs: ModelEpoch[] = [];
  #outbox!: Outbox;
  #gathered = none();
  #serial = 0;
  /** Rows that arrived, and rows declared lost, at the control plane. */
  arrived = 0;
  declared = 0;
  committedRows = 0;
  lastCommitBytes = 0;
  /** Rows that were too large, committed or not. */
  unsendable = 0;

  constructor(store: CheckpointStore) {
    this.#store = store;
    this.#committer = new Committer(store);
    this.restart();
  }

  get droppedRows(): number {
    let rows = 0;
    for (const { lanes } of this.#epochs)
      for (const lane of LANES) rows += lanes[lane].dropped.size;
    return rows;
  }

  /** A process that died: what was not committed is gone, and so is what it knew. */
  restart(): void {
    const epoch = `e${this.#epochs.length + 1}`;
    const lane = (): ModelLane => ({ texts: [], mark: 0, inFlight: 0, dropped: new Set() });
    for (const { lanes } of this.#epochs) for (const each of LANES) lanes[each].inFlight = 0;
    this.#outbox = new Outbox({
      store: this.#store,
      agent: 'agent1',
      epoch,
      bytesMax: OUTBOX_BYTES_MAX,
      rowBytesMax: OUTBOX_ROW_BYTES_MAX,
      unsendable: () => (this.unsendable += 1),
      conditions: new Conditions(systemClock),
      commit: () => this.commit(),
    });
    const order = Math.max(0, ...this.#onDisk().keys()) + 1;
    const lanes = { alerts: lane(), urgent: lane(), results: lane(), bulk: lane() };
    this.#epochs.push({ epoch, order, lanes });
    this.#gathered = none();
    this.#committer.use(this.#outbox);
  }

  add(lane: Lane, chars: number): void {
    const text = JSON.stringify({ kind: 'result', serial: ++this.#serial, pad: 'ü'.repeat(chars) });
    this.#outbox.add(lane, text);
    this.#gathered[lane].push(text);
  }

  async commit(fails = false): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = none();
    if (fails) {
      await expect(this.#committer.commit(true)).rejects.toThrow('does not answer');
      this.#checkDisk();
      return;
    }
    await this.#committer.commit();
    this.lastCommitBytes = 0;
    for (const lane of LANES) {
      this.#current.lanes[lane].texts.push(...gathered[lane]);
      this.committedRows += gathered[lane].length;
      for (const text of gathered[lane]) this.lastCommitBytes += Buffer.byteLength(text) + 20;
    }
    this.#checkDisk();
    this.#checkBound();
  }

  next(lane: Lane): ResultBlock | undefined {
    const block = this.#outbox.next(lane);
    const oldest = this.#epochs.find(({ lanes }) => lanes[lane].mark < lanes[lane].texts.length);
    expect(block?.epoch, 'the oldest epoch first').toBe(oldest?.epoch);
    if (block === undefined || oldest === undefined) return undefined;
    const model = oldest.lanes[lane];
    expect(block.after).toBe(model.mark);
    expect(block.last).toBeLessThanOrEqual(model.texts.length);
    const wanted = [];
    for (let seq = model.mark + 1; seq <= block.last; seq++) {
      const text = model.texts[seq - 1] ?? '';
      if (!model.dropped.has(seq)) wanted.push({ seq, ...(JSON.parse(text) as object) });
    }
    expect(block.rows).toEqual(wanted);
    expect(block.lost, 'lost is what is missing').toBe(block.last - block.after - wanted.length);
    if (block.rows.length > 1) {
      expect(Buffer.byteLength(JSON.stringify(block))).toBeLessThan(limits.resultBlockBytesMax);
      expect(block.rows.length).toBeLessThanOrEqual(limits.resultBlockRowsMax);
    }
    model.inFlight = Math.max(model.inFlight, block.last);
    return block;
  }

  /** The control plane takes the block up to `mark` and says so. */
  async acknowledge(block: ResultBlock, mark = block.last): Promise<void> {
    const model = this.#epochs.find(({ epoch }) => epoch === block.epoch)?.lanes[block.lane];
    if (model === undefined || mark <= model.mark) return;
    for (let seq = model.mark + 1; seq <= mark; seq++) {
      if (model.dropped.has(seq)) this.declared++;
      else this.arrived++;
    }
    model.mark = mark;
    await this.#outbox.acknowledge(block.epoch, block.lane, mark);
    this.#checkDisk();
  }

  async drain(): Promise<void> {
    for (const lane of LANES) {
      for (let block = this.next(lane); block !== undefined; block = this.next(lane)) {
        await this.acknowledge(block);
      }
    }
    await this.commit();
  }

  depth() {
    return this.#outbox.depth();
  }

  get #current(): ModelEpoch {
    const current = this.#epochs.at(-1);
    if (current === undefined) throw new Error('no epoch');
    return current;
  }

  /** A row goes when it is acknowledged, or is dropped while nobody has been given it. */
  #checkDisk(): void {
    const disk = this.#onDisk();
    for (const { order, epoch, lanes } of this.#epochs) {
      for (const lane of LANES) {
        const model = lanes[lane];
        const rows = disk.get(order)?.get(lane) ?? new Map<number, string>();
        for (let seq = model.mark + 1; seq <= model.texts.length; seq++) {
          const text = rows.get(seq);
          if (text !== undefined) {
            expect(text).toBe(model.texts[seq - 1]);
            expect(model.dropped.has(seq), 'dropped rows do not come back').toBe(false);
            continue;
          }
          if (model.dropped.has(seq)) continue;
          const where = `${epoch} ${lane} ${seq}`;
          expect(seq, `${where} was in flight and must stay`).toBeGreaterThan(model.inFlight);
          model.dropped.add(seq);
        }
      }
    }
  }

  #checkBound(): void {
    const { bytes, rows } = this.#outbox.depth();
    let inFlight = 0;
    let waiting = 0;
    for (const { lanes } of this.#epochs) {
      for (const lane of LANES) {
        const { mark, texts, dropped } = lanes[lane];
        for (let seq = mark + 1; seq <= texts.length; seq++) {
          if (dropped.has(seq)) continue;
          waiting++;
          // A chunk stays as a whole while one of its rows is in flight or not acknowledged.
          if (lanes[lane].inFlight > 0) inFlight += Buffer.byteLength(texts[seq - 1] ?? '') + 20;
        }
      }
    }
    expect(rows, 'rows that wait').toBe(waiting);
    const slack = inFlight + this.lastCommitBytes + 2000;
    expect(bytes, 'the bound').toBeLessThanOrEqual(OUTBOX_BYTES_MAX + slack);
  }

  /** Rows by order of their epoch and lane, as they lie in the store. */
  #onDisk(): Map<number, Map<string, Map<number, string>>> {
    const found = new Map<number, Map<string, Map<number, string>>>();
    const range = { start: ['rows', 0], end: ['rows', Number.MAX_SAFE_INTEGER] };
    for (const { key, value } of this.#store.range('outbox', range)) {
      const [, order, lane, first] = key as [string, number, string, number];
      const lanes = found.get(order) ?? new Map<string, Map<number, string>>();
      const rows = lanes.get(lane) ?? new Map<number, string>();
      for (const [at, text] of chunkTexts(value).entries()) rows.set(first + at, text);
      found.set(order, lanes.set(lane, rows));
    }
    for (const { key } of this.#store.range('outbox', {
      start: ['epoch', 0],
      end: ['epoch', 1e9],
    })) {
      const order = (key as [string, number])[1];
      if (!found.has(order)) found.set(order, new Map());
    }
    return found;
  }
}
