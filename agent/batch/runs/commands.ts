/**
 * What people ask of the batch jobs of this device (protocol/runs.ts).
 *
 * Guarantees: a command counts once by its id; its answer is in the commit of its effect and is
 * given again for `limits.batchCommandsKeptMsMax`, at most `limits.batchCommandsKeptMax` of them. A
 * command that is refused changes nothing. Logs are read, not remembered.
 */
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { BatchCommand, BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import { partitionNamed, partitionsAt } from '@runnel/shared/schedule/partitions.ts';
import type { RunEvent } from '../dag/run-machine.ts';
import type { RunRecord } from '../records.ts';
import { CLOCK_FLOOR_MS } from '../schedule/batch-clock.ts';
import type { Backfills } from './backfills.ts';
import type { BatchJobs } from './batch-jobs.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys, type RunParametersRecord } from './job-record.ts';
import { assertSame } from './open-run.ts';
import { readLog } from './read-log.ts';
import { logPath } from './run-log.ts';
import type { RunLogs } from './run-logs.ts';
import type { RunSet } from './run-set.ts';

/** `['command', id]` */
interface AnswerRecord {
  readonly at: number;
  readonly outcome: BatchOutcome | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface CommandsOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly runs: RunSet;
  readonly backfills: Backfills;
  readonly now: () => number;
  readonly batchDir: string;
  readonly logs: RunLogs;
}

type Of<A extends BatchCommand['action']> = Extract<BatchCommand, { action: A }>;

const NOTHING: BatchOutcome = { runs: [], partitions: [], lines: [], open: false };

export class Commands {
  readonly #options: CommandsOptions;
  readonly #answering = new Map<string, Promise<BatchOutcome>>();

  /** Answers that were let go: such a command would count again. */
  answersForgotten = 0;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** Throws a `RunnelError`, the same for the same id. */
  async command(command: BatchCommand): Promise<BatchOutcome> {
    if (command.action === 'logs') return this.#logs(command);
    // First: an answer that can be read may be one that is not on disk yet.
    const before = this.#answering.get(command.id);
    if (before !== undefined) return before;
    const stored = this.#options.store.get<AnswerRecord>(keys.command(command.id));
    if (stored?.outcome != null) return stored.outcome;
    if (stored?.error != null) throw new RunnelError(stored.error.code, stored.error.message);
    const answering = this.#first(command).finally(() => this.#answering.delete(command.id));
    this.#answering.set(command.id, answering);
    return answering;
  }

  /** Old answers go; within a commit. */
  trim(tx: BatchTx, now: number): void {
    const answers = this.#options.store
      .list<AnswerRecord>(['command'])
      .toSorted((a, b) => b.value.at - a.value.at);
    for (const [index, { key, value }] of answers.entries()) {
      // Of one that came before the device knew the time nobody knows how old it is.
      const isDated = value.at >= CLOCK_FLOOR_MS;
      const isOld = isDated && now - value.at > limits.batchCommandsKeptMsMax;
      if (index < limits.batchCommandsKeptMax && !isOld) continue;
      tx.remove(key);
      this.answersForgotten++;
    }
  }

  async #first(command: Exclude<BatchCommand, Of<'logs'>>): Promise<BatchOutcome> {
    try {
      return await this.#perform(command);
    } catch (thrown) {
      const error = asRefusal(thrown);
      // What was not told may be tried again: the agent stops, or the store failed.
      if (error.code === 'agent_closing') throw error;
      const { code, message } = error;
      const answer: AnswerRecord = {
        at: this.#options.now(),
        outcome: null,
        error: { code, message },
      };
      await this.#options.store.commit((tx) => tx.put(keys.command(command.id), answer));
      throw error;
    }
  }

  async #perform(command: Exclude<BatchCommand, Of<'logs'>>): Promise<BatchOutcome> {
    switch (command.action) {
      case 'run':
        return this.#run(command);
      case 'backfill':
        return this.#backfill(command);
      case 'cancel':
        return this.#cancel(command);
      case 'rerun': {
        const { from, all = false, fullRefresh } = command;
        return this.#event(command, { kind: 'rerun', from, all, fullRefresh });
      }
      case 'clear':
        return this.#event(command, { kind: 'clear', task: command.task });
      case 'markSuccess':
        return this.#event(command, { kind: 'markSuccess', task: command.task });
    }
  }

  async #run(command: Of<'run'>): Promise<BatchOutcome> {
    const { jobs, runs, store, now } = this.#options;
    const { host, facts } = jobs.required(command.job);
    const { parameters, fullRefresh } = command;
    const values = jobs.valuesWith(facts, parameters);
    const at = now();
    const partitions =
      command.partition === null
        ? partitionsAt(facts.partition, at)
        : [partitionNamed(facts.partition, command.partition, at)];
    const open = runs.open(host.name).map((each) => runs.runOf(each));
    for (const run of open) {
      if (!partitions.some(({ id }) => id === run.partition.id)) continue;
      const given = store.get<RunParametersRecord>(keys.given(run.id));
      if (given !== undefined) assertSame(run, given, { values, fullRefresh });
    }
    const waiting = open.length;
    if (waiting + partitions.length > limits.batchRunsQueuedMax) {
      throw new RunnelError('queue_full', `${waiting} runs of ${host.name} wait already`, {
        hint: 'cancel some of them, or wait',
      });
    }
    let outcome = NOTHING;
    await store.commit((tx) => {
      const made = partitions.map((partition) =>
        runs.create(tx, host, facts, {
          partition,
          trigger: 'manual',
          at,
          parameters,
          values,
          fullRefresh,
        }),
      );
      outcome = { ...NOTHING, runs: made.map(shown) };
      this.#answer(tx, command.id, outcome);
    });
    return outcome;
  }

  async #backfill(command: Of<'backfill'>): Promise<BatchOutcome> {
    const { backfills, jobs, store } = this.#options;
    const { job, from: fromMs, to: toMs, which, order, maxActive, parameters, id } = command;
    const { facts } = jobs.required(job);
    const values = jobs.valuesWith(facts, parameters);
    const asked = { job, fromMs, toMs, which, order };
    const partitions = backfills.plan(asked);
    if (command.dryRun || partitions.length === 0) return { ...NOTHING, partitions };
    let outcome = NOTHING;
    await store.commit((tx) => {
      const request = { ...asked, id, maxActive, parameters, values };
      const { runs, skipped } = backfills.begin(tx, request, partitions.length);
      outcome = { ...NOTHING, runs: runs.map(shown), partitions, backfill: id, skipped };
      this.#answer(tx, id, outcome);
    });
    return outcome;
  }

  async #cancel(command: Of<'cancel'>): Promise<BatchOutcome> {
    const { backfills, runs } = this.#options;
    const reason = 'cancelled by hand';
    if (!backfills.has(command.run)) return this.#event(command, { kind: 'cancel', reason });
    let outcome = NOTHING;
    await runs.cancelAll(backfills.openOf(command.run), reason, (tx, cancel) => {
      const skipped = backfills.cancel(tx, command.run, reason);
      outcome = { ...NOTHING, runs: cancel().map(shown), backfill: command.run, skipped };
      this.#answer(tx, command.id, outcome);
    });
    return outcome;
  }

  async #event(
    { id, run }: { readonly id: string; readonly run: string },
    event: RunEvent,
  ): Promise<BatchOutcome> {
    let outcome = NOTHING;
    await this.#options.runs.command(run, event, (tx, changed) => {
      outcome = { ...NOTHING, runs: [shown(changed)] };
      this.#answer(tx, id, outcome);
    });
    return outcome;
  }

  async #logs({ run, task, after, linesMax }: Of<'logs'>): Promise<BatchOutcome> {
    const { batchDir, logs, runs, store } = this.#options;
    if (!store.has(keys.run(run))) {
      throw new RunnelError('run_unknown', `this device has no run ${run}`);
    }
    // Read before the lines, so that the last line of a run that ends meanwhile is asked for.
    const open = runs.get(run) !== undefined;
    const most = Math.min(linesMax, limits.logLinesMax);
    await logs.settled(run);
    const lines = await readLog(logPath(batchDir, run), { task, after, linesMax: most });
    return { ...NOTHING, lines, open };
  }

  #answer(tx: BatchTx, id: string, outcome: BatchOutcome): void {
    const answer: AnswerRecord = { at: this.#options.now(), outcome, error: null };
    tx.put(keys.command(id), answer);
  }
}

function shown({ id, partition, state }: RunRecord): BatchOutcome['runs'][number] {
  return { run: id, partition: partition.id, state };
}

/** With the hint in the message: it is all that the other side gets. */
function asRefusal(thrown: unknown): RunnelError {
  if (!(thrown instanceof RunnelError)) {
    return new RunnelError('command_failed', messageOf(thrown), { cause: thrown });
  }
  const { code, hint, message } = thrown;
  if (hint === undefined) return thrown;
  return new RunnelError(code, `${message}; ${hint}`, { cause: thrown, hint });
}
