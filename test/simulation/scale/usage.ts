/**
 * What a phase costs: CPU time from its begin to its end, and the most resident memory that was
 * seen meanwhile, of the control plane, its nats-server and the simulator; and what everybody else
 * on the machine took of the processors.
 */
import { readFileSync } from 'node:fs';
import { systemClock } from '@runnel/shared/clock.ts';
import { cpuMicros, memory } from '../../bench/measure.ts';
import { cores } from './options.ts';

const LOOK_MS = 250;

export interface Usage {
  /** Of one core. */
  readonly cpuPercent: number;
  readonly rssMiB: number;
}

export interface MachineUsage {
  readonly control: Usage;
  readonly nats: Usage;
  /** The simulator with its light agents. */
  readonly simulator: Usage;
  /** Of one core: processes that are none of these. */
  readonly othersCpuPercent: number;
}

/** A process that may die and come again under another id, as a nats-server does. */
class Watched {
  readonly #pids: () => readonly number[];
  readonly #spentMicros = new Map<number, number>();
  #beganMicros = 0;
  #peakMiB = 0;

  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  look(): void {
    let rssMiB = 0;
    for (const pid of this.#pids()) {
      const seen = ifAlive(() => ({ micros: cpuMicros(pid), rss: memory(pid).totalMiB || 0 }));
      if (seen === undefined) continue;
      this.#spentMicros.set(pid, seen.micros);
      rssMiB += seen.rss;
    }
    this.#peakMiB = Math.max(this.#peakMiB, rssMiB);
  }

  begin(): void {
    this.look();
    this.#beganMicros = this.#total();
    this.#peakMiB = 0;
    this.look();
  }

  spentMicros(): number {
    return this.#total() - this.#beganMicros;
  }

  usage(elapsedMs: number): Usage {
    return { cpuPercent: this.spentMicros() / 10 / elapsedMs, rssMiB: this.#peakMiB };
  }

  #total(): number {
    return [...this.#spentMicros.values()].reduce((sum, micros) => sum + micros, 0);
  }
}

export interface WatchedPids {
  readonly control: number;
  readonly nats: () => number;
  readonly workers: () => readonly number[];
}

export class UsageWatch {
  readonly #control: Watched;
  readonly #nats: Watched;
  readonly #simulator: Watched;
  readonly #timer: NodeJS.Timeout;
  #beganMs = 0;
  #beganBusyMicros = 0;

  constructor({ control, nats, workers }: WatchedPids) {
    this.#control = new Watched(() => [control]);
    this.#nats = new Watched(() => [ifAlive(nats) ?? 0]);
    this.#simulator = new Watched(() => [process.pid, ...workers()]);
    this.begin();
    this.#timer = setInterval(() => this.#each((watched) => watched.look()), LOOK_MS);
  }

  begin(): void {
    this.#each((watched) => watched.begin());
    this.#beganMs = systemClock.monotonicMs();
    this.#beganBusyMicros = busyMicros();
  }

  /** Since `begin`. */
  taken(): MachineUsage {
    this.#each((watched) => watched.look());
    const elapsedMs = systemClock.monotonicMs() - this.#beganMs;
    let ours = 0;
    this.#each((watched) => (ours += watched.spentMicros()));
    const others = Math.max(0, busyMicros() - this.#beganBusyMicros - ours);
    return {
      control: this.#control.usage(elapsedMs),
      nats: this.#nats.usage(elapsedMs),
      simulator: this.#simulator.usage(elapsedMs),
      othersCpuPercent: Math.min(others / 10 / elapsedMs, cores() * 100),
    };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #each(run: (watched: Watched) => void): void {
    for (const watched of [this.#control, this.#nats, this.#simulator]) run(watched);
  }
}

/** Time that all processors were busy since the machine started; a tick is 10 ms. */
function busyMicros(): number {
  const [, ...ticks] = (readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '').split(/\s+/);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = ticks.map(Number);
  return (user + nice + system + irq + softirq) * 10_000;
}

/** Undefined when the process is gone. */
function ifAlive<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    // A file that is just being written anew.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
