/**
 * Compares what the store holds with what the agents made: each row once, none lost, none altered,
 * none that nobody made. It knows nothing of how either side works. Pure.
 */
import { valueOf } from './light-outbox.ts';
import type { AgentTally } from './worker-messages.ts';

/** A row as the API gives it. */
export interface StoredRow {
  readonly agent: string;
  readonly epoch: string;
  readonly lane: string;
  readonly seq: number;
  readonly value: unknown;
}

export interface AuditFindings {
  /** Rows that agents made, and rows of the store. */
  readonly sent: number;
  readonly stored: number;
  readonly missing: number;
  readonly twice: number;
  readonly altered: number;
  /** Rows that no agent made. */
  readonly foreign: number;
  readonly ok: boolean;
}

interface Lane {
  readonly index: number;
  /** By seq; how often it was seen. */
  readonly seen: Uint8Array;
}

export class Audit {
  readonly #lanes = new Map<string, Lane>();
  #stored = 0;
  #altered = 0;
  #foreign = 0;

  constructor(agents: readonly AgentTally[]) {
    for (const { agent, index, made } of agents) {
      for (const { epoch, rows } of made) {
        this.#lanes.set(keyOf(agent, epoch), { index, seen: new Uint8Array(rows + 1) });
      }
    }
  }

  take(rows: readonly StoredRow[]): void {
    for (const { agent, epoch, lane: name, seq, value } of rows) {
      this.#stored += 1;
      const lane = name === 'results' ? this.#lanes.get(keyOf(agent, epoch)) : undefined;
      if (lane === undefined || seq < 1 || seq >= lane.seen.length) {
        this.#foreign += 1;
        continue;
      }
      lane.seen[seq] = Math.min(2, (lane.seen[seq] ?? 0) + 1);
      if (!isSame(value, valueOf(lane.index, seq))) this.#altered += 1;
    }
  }

  findings(): AuditFindings {
    let sent = 0;
    let missing = 0;
    let twice = 0;
    for (const { seen } of this.#lanes.values()) {
      sent += seen.length - 1;
      for (const times of seen.subarray(1)) {
        if (times === 0) missing += 1;
        if (times > 1) twice += 1;
      }
    }
    const [stored, altered, foreign] = [this.#stored, this.#altered, this.#foreign];
    const ok = missing + twice + altered + foreign === 0 && sent === stored;
    return { sent, stored, missing, twice, altered, foreign, ok };
  }
}

const keyOf = (agent: string, epoch: string): string => `${agent} ${epoch}`;

function isSame(value: unknown, expected: ReturnType<typeof valueOf>): boolean {
  const found = value as Partial<ReturnType<typeof valueOf>> | null;
  return found?.agent === expected.agent && found.n === expected.n;
}
