/**
 * The worker processes and what their agents reached. Each worker ends when it is told to, and by
 * itself when this process is gone.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { Milestone, type Reached } from './milestone.ts';
import type {
  AgentTally,
  FromWorker,
  Moment,
  ToWorker,
  WorkerCounters,
  WorkerPart,
} from './worker-messages.ts';

const LOOK_MS = 20;

export interface FleetTally {
  readonly agents: readonly AgentTally[];
  readonly counters: WorkerCounters;
}

export class Fleet {
  readonly #workers: readonly ChildProcess[];
  readonly #agents: number;
  readonly #signal: AbortSignal;
  readonly #milestones = new Map<Moment['what'], Milestone>();
  readonly #heard: FromWorker[] = [];
  #failure: string | undefined;

  /** `script` plays a worker when its first argument is `worker`. */
  constructor(script: string, workers: number, agents: number, signal: AbortSignal) {
    this.#agents = agents;
    this.#signal = signal;
    this.#workers = Array.from({ length: workers }, () => this.#fork(script));
  }

  get pids(): number[] {
    return this.#workers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  enrol(part: Omit<WorkerPart, 'first' | 'count'>, url: string, token: string): void {
    let first = 0;
    for (const [index, worker] of this.#workers.entries()) {
      const end = Math.round(((index + 1) * this.#agents) / this.#workers.length);
      this.#order(worker, {
        do: 'enrol',
        part: { ...part, first, count: end - first },
        url,
        token,
      });
      first = end;
    }
  }

  order(order: ToWorker): void {
    for (const worker of this.#workers) this.#order(worker, order);
  }

  /** From now on; an earlier watch of the same moment ends. */
  watch(what: Moment['what']): Milestone {
    const milestone = new Milestone(this.#agents, systemClock.now());
    this.#milestones.set(what, milestone);
    return milestone;
  }

  /** Resolves when all reached it or the time is over. Errors: `worker`, the signal's reason. */
  async reached(milestone: Milestone, msMax: number): Promise<Reached> {
    await this.#until(() => milestone.complete, msMax);
    return milestone.reached();
  }

  /** Rows made so far are in the store; false: not in time. */
  async drain(msMax: number): Promise<boolean> {
    this.order({ do: 'drain' });
    return await this.#until(() => this.#said('drained').length === this.#workers.length, msMax);
  }

  /** Ends every agent. Error `worker`: a worker did not tell in time. */
  async tally(msMax: number): Promise<FleetTally> {
    this.order({ do: 'stop' });
    const all = () => this.#said('tally').length === this.#workers.length;
    if (!(await this.#until(all, msMax))) throw workerError('did not tell what it sent');
    const tallies = this.#said('tally');
    const agents = tallies.flatMap((tally) => tally.agents);
    const counters = { ...tallies[0]!.counters };
    for (const tally of tallies.slice(1)) {
      for (const key of Object.keys(counters) as (keyof WorkerCounters)[]) {
        counters[key] += tally.counters[key];
      }
    }
    return { agents, counters };
  }

  /** By their own ids; harmless twice. */
  async end(): Promise<void> {
    for (const worker of this.#workers) if (isRunning(worker)) worker.kill('SIGKILL');
    await Promise.all(this.#workers.map((worker) => exited(worker)));
  }

  #fork(script: string): ChildProcess {
    const worker = fork(script, ['worker'], { stdio: ['ignore', 2, 2, 'ipc'] });
    worker.on('message', (message: FromWorker) => this.#hear(message));
    worker.on('error', (error) => (this.#failure ??= error.message));
    worker.on('exit', (code, signal) => (this.#failure ??= `ended with ${signal ?? code}`));
    return worker;
  }

  #order(worker: ChildProcess, order: ToWorker): void {
    if (worker.connected) worker.send(order);
  }

  #hear(message: FromWorker): void {
    if (message.say === 'failed') this.#failure ??= message.message;
    else if (message.say !== 'moments') this.#heard.push(message);
    else {
      for (const { what, agent, at } of message.moments) {
        this.#milestones.get(what)?.take(agent, at);
      }
    }
  }

  #said<S extends FromWorker['say']>(what: S): Extract<FromWorker, { say: S }>[] {
    return this.#heard.filter(
      (message): message is Extract<FromWorker, { say: S }> => message.say === what,
    );
  }

  async #until(probe: () => boolean, msMax: number): Promise<boolean> {
    const deadline = systemClock.monotonicMs() + msMax;
    while (!probe()) {
      if (this.#failure !== undefined) throw workerError(this.#failure);
      if (systemClock.monotonicMs() > deadline) return false;
      await systemClock.sleep(LOOK_MS, this.#signal);
    }
    return true;
  }
}

function isRunning({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

async function exited(worker: ChildProcess): Promise<void> {
  if (!isRunning(worker)) return;
  await new Promise((resolve) => {
    worker.once('exit', resolve);
  });
}

function workerError(message: string): RunnelError {
  return new RunnelError('worker', `a process of light agents: ${message}`);
}
