/**
 * One device as it really is: what it runs, what it was told, what it says. It hears of a command
 * late, takes its time, keeps the version that it has when another one does not start, is cut off,
 * crashes, and has a clock of its own.
 */
import type { Heartbeat, JobPhase } from '@runnel/shared/protocol/heartbeat.ts';
import { type SlaState, UNKNOWN } from '@runnel/shared/sla/sla-state.ts';
import type { Dice } from './dice.ts';
import type { Product } from './product.ts';

export const BEAT_MS = 5000;
const RESULT_MS = 2000;

/** What becomes of a version on a device; `silent` runs and makes no results. */
export type Outcome = 'runs' | 'failsToStart' | 'hangs' | 'silent';
export type OutcomeOf = (agent: string, version: number) => Outcome;

export interface Command {
  readonly revision: number;
  readonly version: number | null;
}

export type Message =
  | { readonly kind: 'heartbeat'; readonly heartbeat: Heartbeat }
  | { readonly kind: 'result'; readonly agent: string };

interface Applying extends Command {
  readonly doneAt: number;
}

export class SimDevice {
  readonly id: string;
  readonly skewMs: number;
  /** Gets nowhere with anything it is told. */
  readonly broken: boolean;
  up = true;
  online = true;
  runs: number | null = null;
  applied: Command = { revision: 0, version: null };
  sla: SlaState = UNKNOWN;
  /** Of the results, by its own clock. */
  lastAt: number | null = null;
  startedAt = 0;
  #slaNextAt = 0;
  #attempted: { version: number; phase: 'failed'; reason: string; at: number } | null = null;
  #applying: Applying | null = null;
  #seq = 0;
  #epoch = 0;
  #waiting = 0;
  readonly #offsetMs: number;
  readonly #dice: Dice;
  readonly #product: Product;
  readonly #outcomeOf: OutcomeOf;

  constructor(id: string, parts: { dice: Dice; product: Product; outcomeOf: OutcomeOf }) {
    const { dice, product, outcomeOf } = parts;
    this.id = id;
    this.#dice = dice;
    this.#product = product;
    this.#outcomeOf = outcomeOf;
    this.skewMs = dice.chance(0.5) ? 1000 * dice.between(-120, 120) : 0;
    this.broken = dice.chance(0.07);
    this.#offsetMs = 1000 * dice.between(0, 4);
  }

  crash(): void {
    this.up = false;
    this.#applying = null;
  }

  restart(): void {
    this.up = true;
    this.#epoch += 1;
    this.#seq = 0;
  }

  /** One second; returns what it sends. */
  step(command: Command, now: number): Message[] {
    if (!this.up) return [];
    // It looks at what was while it was off, before it does anything.
    if (this.#seq === 0) this.#judge(now + this.skewMs - 1000);
    if (this.online) this.#hear(command, now);
    if (this.#applying !== null && now >= this.#applying.doneAt) this.#apply(this.#applying, now);
    const outcome = this.outcome;
    if (outcome === 'runs' && (now + this.#offsetMs) % RESULT_MS === 0) {
      this.lastAt = now + this.skewMs;
      this.#waiting += 1;
    }
    this.#judge(now + this.skewMs);
    if (!this.online) return [];
    const sent: Message[] = [];
    // What waited is sent at once.
    if (this.#waiting > 0) sent.push({ kind: 'result', agent: this.id });
    this.#waiting = 0;
    const isDue = (now + this.#offsetMs) % BEAT_MS === 0;
    return isDue ? [...sent, { kind: 'heartbeat', heartbeat: this.#beat(now) }] : sent;
  }

  get outcome(): Outcome | null {
    return this.runs === null ? null : this.#outcomeOf(this.id, this.runs);
  }

  #hear(command: Command, now: number): void {
    const newest = this.#applying ?? this.applied;
    if (command.revision <= newest.revision) return;
    this.#applying = { ...command, doneAt: now + 1000 * this.#dice.between(1, 5) };
  }

  #apply({ revision, version }: Applying, now: number): void {
    this.#applying = null;
    this.applied = { revision, version };
    this.#attempted = null;
    if (this.broken || version === this.runs) return;
    const outcome = version === null ? 'runs' : this.#outcomeOf(this.id, version);
    if (outcome === 'hangs') return;
    if (outcome === 'failsToStart' && version !== null) {
      const at = now + this.skewMs;
      this.#attempted = { version, phase: 'failed', reason: 'it does not start', at };
      return;
    }
    if (this.runs === null) this.#begin(now);
    this.runs = version;
    if (version === null) this.sla = UNKNOWN;
  }

  #begin(now: number): void {
    this.startedAt = now + this.skewMs;
    this.#slaNextAt = this.startedAt;
    this.lastAt = null;
  }

  #judge(now: number): void {
    if (this.runs === null) return;
    const facts = { lastAt: this.lastAt, sinceAt: this.startedAt };
    const fromMs = Math.min(this.#slaNextAt, now);
    const settled = this.#product.settleOnDevice(facts, this.sla, fromMs, now);
    this.sla = settled.state;
    this.#slaNextAt = settled.nextAt;
  }

  #beat(now: number): Heartbeat {
    this.#seq += 1;
    const { runs, sla, skewMs } = this;
    const attempted = this.#attempted;
    const counts = { lagRecords: 0, recordsIn: 0, recordsOut: 0, late: 0, deadLetters: 0 };
    const phase: JobPhase = runs === null ? 'stopped' : 'running';
    const job = {
      ...{ name: 'press', version: runs, phase, attempted, watermark: null },
      ...{ ...counts, dropped: {}, stateKeys: 0 },
    };
    const report =
      sla.kind === 'unknown' || sla.kind === 'unreachable'
        ? []
        : [{ job: 'press', sla: 'fresh', verdict: sla.kind, since: sla.since, cause: sla.cause }];
    return {
      ...{ v: 1, agent: this.id, epoch: `epoch-${this.#epoch}`, seq: this.#seq },
      ...{ sentAt: now + skewMs, startedAt: 0, intervalMs: BEAT_MS, agentVersion: '1.0.0' },
      ...{ platform: { os: 'linux', arch: 'x64', node: '24' }, capabilities: [] },
      ...{ observedRevision: this.applied.revision, observedHash: '', conditions: [] },
      jobs: runs === null && attempted === null ? [] : [job],
      ...{ sources: [], outbox: { rows: 0, bytes: 0, oldestAt: null, lost: 0 }, counters: {} },
      ...{ slas: report, host: NO_HOST },
    };
  }
}

const NO_HOST = {
  ...{ cpuPercent: null, memoryUsedBytes: null, memoryTotalBytes: null, diskUsedBytes: null },
  ...{ diskTotalBytes: null, temperatureCelsius: null, load1: null, agentRssBytes: 0 },
  agentCpuPercent: null,
};
