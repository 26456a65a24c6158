/**
 * What a run shows while it goes on: a line for each instance of a task in the order in which they
 * ended, as JSON or for people.
 *
 * Every task of the job appears: an instance of a task with `forEach` by its index, the task itself
 * only when it has none (it was skipped, failed or cancelled before its list was known, or the list
 * was empty). What happens between attempts is told as notes.
 */
import type { RunError } from '@runnel/shared/protocol/runs.ts';
import type { RunChange } from '../../batch/batch-engine.ts';
import { isDone } from '../../batch/dag/run-snapshot.ts';
import { runKey } from '../../batch/dag/task-scope.ts';
import type { RunRecord, TaskRecord } from '../../batch/records.ts';

export interface TaskLine {
  readonly task: string;
  readonly index: number | null;
  readonly state: string;
  /** Attempts made; 0 for what never started. */
  readonly attempt: number;
  /** Epoch ms; null for what never started. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly output: unknown;
  readonly error: RunError | null;
}

/** Turns changes into the lines of instances that ended, in that order. */
export class EndedTasks {
  readonly #note: (text: string) => void;
  readonly #told = new Set<string>();

  /** `note` gets what people should know of attempts. */
  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  lines({ tasks }: RunChange, nowMs: number): TaskLine[] {
    const ended: TaskRecord[] = [];
    for (const record of tasks) {
      if (!isInstance(record) || !isDone(record.state)) this.#tellRetry(record, nowMs);
      else if (this.#isNew(record)) ended.push(record);
    }
    // Those of one commit by their time.
    return ended.toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0)).map(taskLine);
  }

  #isNew({ run, task, index, state, attempt }: TaskRecord): boolean {
    const name = JSON.stringify([run, task, index, state, attempt]);
    if (this.#told.has(name)) return false;
    this.#told.add(name);
    return true;
  }

  #tellRetry(record: TaskRecord, nowMs: number): void {
    const { task, index, state, attempt, error, nextAttemptAt } = record;
    if (state !== 'ready' || error === null || !this.#isNew(record)) return;
    const pauseMs = nextAttemptAt === null ? 0 : nextAttemptAt - nowMs;
    const again = pauseMs > 0 ? `, waits ${Math.ceil(pauseMs / 100) / 10} s for the next` : '';
    this.#note(`${nameOf(task, index)}: attempt ${attempt} failed (${error.message})${again}`);
  }
}

/** Not the head of a mapped task that has instances. */
function isInstance({ index, items }: TaskRecord): boolean {
  return index !== null || items === null || items === 0;
}

function taskLine(record: TaskRecord): TaskLine {
  const { task, index, state, attempt, startedAt, output, error } = record;
  const endedAt = startedAt === null ? null : record.endedAt;
  return { task, index, state, attempt, startedAt, endedAt, output: output ?? null, error };
}

export function taskLineText(line: TaskLine): string {
  return `${JSON.stringify(line)}\n`;
}

export function runLineText(run: RunRecord): string {
  return `${JSON.stringify({ run: { key: runKey(run), state: run.state } })}\n`;
}

export function nameOf(task: string, index: number | null): string {
  return index === null ? task : `${task}[${index}]`;
}
