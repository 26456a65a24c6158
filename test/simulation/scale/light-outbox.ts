/**
 * The outbox of a light agent: rows of the lane `results`, in memory, that go only on the control
 * plane's mark. Each start of the agent begins an epoch; what earlier ones left is sent first.
 *
 * The value of a row follows from agent and seq, so that an audit can tell a row that was altered.
 */
import type { OutboxLanes } from '@runnel/agent/sync/results-sender.ts';
import type { Lane, ResultBlock, Row } from '@runnel/shared/protocol/results.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';

const BLOCK_ROWS_MAX = 500;

/** How many rows an agent made in one epoch: their seqs are 1 … `rows`. */
export interface MadeRows {
  readonly epoch: string;
  rows: number;
}

interface EpochRows extends MadeRows {
  mark: number;
  waiting: Row[];
}

export type RowContent = Omit<Row, 'seq' | 'value'>;

/** What the audit expects of a row. */
export function valueOf(
  index: number,
  seq: number,
): { readonly agent: number; readonly n: number } {
  return { agent: index, n: seq };
}

export class LightOutbox implements OutboxLanes {
  readonly #agent: string;
  readonly #index: number;
  readonly #epochs: EpochRows[] = [];
  readonly #listeners = new Set<() => void>();
  #held = false;

  constructor(agent: string, index: number) {
    this.#agent = agent;
    this.#index = index;
  }

  get made(): readonly MadeRows[] {
    return this.#epochs.map(({ epoch, rows }) => ({ epoch, rows }));
  }

  get waiting(): number {
    return this.#epochs.reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  begin(epoch: string): void {
    this.#epochs.push({ epoch, rows: 0, mark: 0, waiting: [] });
  }

  append(content: RowContent): void {
    const epoch = this.#epochs.at(-1);
    if (epoch === undefined) return;
    epoch.rows += 1;
    const seq = epoch.rows;
    epoch.waiting.push({ ...content, seq, value: valueOf(this.#index, seq) });
    this.#tell();
  }

  /** Rows are kept back until `release`: their results come late. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#tell();
  }

  next(lane: Lane): ResultBlock | undefined {
    if (lane !== 'results' || this.#held) return undefined;
    const epoch = this.#epochs.find(({ waiting }) => waiting.length > 0);
    if (epoch === undefined) return undefined;
    const rows = epoch.waiting.slice(0, BLOCK_ROWS_MAX);
    return {
      v: PROTOCOL_VERSION,
      agent: this.#agent,
      epoch: epoch.epoch,
      lane,
      after: epoch.mark,
      last: rows.at(-1)?.seq ?? epoch.mark,
      lost: 0,
      rows,
    };
  }

  hasMore({ epoch, last }: ResultBlock): boolean {
    const at = this.#epochs.findIndex((each) => each.epoch === epoch);
    const own = this.#epochs[at]?.waiting.at(-1)?.seq ?? 0;
    return own > last || this.#epochs.slice(at + 1).some(({ waiting }) => waiting.length > 0);
  }

  acknowledge(name: string, _lane: Lane, mark: number): Promise<void> {
    const epoch = this.#epochs.find((candidate) => candidate.epoch === name);
    if (epoch !== undefined) {
      epoch.mark = Math.max(epoch.mark, mark);
      epoch.waiting = epoch.waiting.filter(({ seq }) => seq > mark);
    }
    return Promise.resolve();
  }

  onCommitted(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
