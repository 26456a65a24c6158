/**
 * The logs of the runs that are under way, and what becomes of them on the device: lines that were
 * lost or dropped are counted, and a disk that takes no lines is the condition `batch/logs`, until
 * it takes one. A run has one log at a time, so that its lines keep their order and numbers.
 */
import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { Conditions } from '../../resources/conditions.ts';
import { logPath, RunLog } from './run-log.ts';

const CONDITION = 'batch/logs';

export interface RunLogsOptions {
  readonly batchDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly conditions: Conditions;
}

export class RunLogs {
  readonly #options: RunLogsOptions;
  readonly #logs = new Map<string, RunLog>();
  #isFailing = false;
  /** Lines that the disk did not take. */
  lostTotal = 0;
  /** Lines beyond the bound of a run or of what may wait for the disk. */
  droppedTotal = 0;

  constructor(options: RunLogsOptions) {
    this.#options = options;
  }

  /** The log of the run, to be closed by who asked for it. */
  of(run: string): RunLog {
    const { batchDir, clock } = this.#options;
    const known = this.#logs.get(run);
    if (known !== undefined) {
      known.reopen();
      return known;
    }
    const made = new RunLog({
      path: logPath(batchDir, run),
      clock,
      written: (lines, failure) => this.#written(run, lines, failure),
      dropped: () => this.droppedTotal++,
      done: () => {
        if (this.#logs.get(run) === made) this.#logs.delete(run);
      },
    });
    this.#logs.set(run, made);
    return made;
  }

  /** Resolves when what was written so far, of this run or of all, is on disk or lost. */
  async settled(run?: string): Promise<void> {
    if (run !== undefined) await this.#logs.get(run)?.settled();
    else await Promise.all([...this.#logs.values()].map(async (log) => log.settled()));
  }

  #written(run: string, lines: number, failure: unknown): void {
    const { conditions, log } = this.#options;
    if (failure === null) {
      if (this.#isFailing && lines > 0) conditions.clear(CONDITION);
      if (lines > 0) this.#isFailing = false;
      return;
    }
    this.lostTotal += lines;
    const error = messageOf(failure);
    // Once, not for each line: the agent's log may be on the same disk.
    if (!this.#isFailing) log.error({ run, lines, error }, 'lines of a run log are lost');
    this.#isFailing = true;
    conditions.set({
      type: CONDITION,
      axis: 'storage',
      severity: 'warning',
      reason: 'LogNotWritable',
      message: `Lines of the logs of runs are lost (the runs go on): ${error}`,
    });
  }
}

export async function removeLog(path: string): Promise<void> {
  await rm(path, { force: true });
}
