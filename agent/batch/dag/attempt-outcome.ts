/**
 * How an instance goes on when an attempt of it has ended, and what a success must meet before it
 * counts: the bound and the schema of its output, a branch that names its dependents, and lists of
 * `forEach` behind it that are not too long. What does not meet them is a failed attempt.
 */
import type { CompiledTask } from '@runnel/shared/definitions/batch-program.ts';
import { readJsonSchema } from '@runnel/shared/definitions/json-schema.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { suggestion } from '@runnel/shared/expressions/suggest.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { RunError, TaskState } from '@runnel/shared/protocol/runs.ts';
import type { TableRef, TaskRecord } from '../records.ts';
import { taskErrorOf } from '../tasks/task-error.ts';
import { retryPauseMs } from './retry-policy.ts';
import type { RunDraft } from './run-draft.ts';
import { isTeardown, taskAt } from './run-plan.ts';
import { headOf, isDone } from './run-snapshot.ts';

/** Any error as a run keeps it. */
export function runErrorOf(thrown: unknown): RunError {
  const error = taskErrorOf(thrown);
  return { code: error.code, class: error.class, message: error.message };
}

/** Ends an instance, and with it the task when it was the last, and wakes what waits for them. */
export function finish(
  draft: RunDraft,
  task: number,
  index: number | null,
  patch: Partial<TaskRecord> & { readonly state: TaskState },
): void {
  const { now } = draft.facts;
  draft.update(task, index, { endedAt: now, nextAttemptAt: null, readyAt: null, ...patch });
  refreshHead(draft, task);
  draft.wakeBehind(task);
}

/** The state of a task with instances follows from theirs. */
export function refreshHead(draft: RunDraft, task: number): void {
  const group = draft.group(task);
  if (group.length === 1) return;
  const head = headOf(group);
  const counts = draft.counts(task);
  const open = counts.waiting + counts.ready + counts.running;
  const state = open > 0 ? 'running' : stateOfAll(counts);
  if (state === head.state) return;
  const chosen = state === 'success' ? head.chosen : null;
  draft.update(task, null, { state, chosen, endedAt: open > 0 ? null : draft.facts.now });
}

function stateOfAll(counts: Readonly<Record<TaskState, number>>): TaskState {
  if (counts.failed > 0) return 'failed';
  if (counts.upstream_failed > 0) return 'upstream_failed';
  if (counts.cancelled > 0) return 'cancelled';
  return counts.success > 0 ? 'success' : 'skipped';
}

/** Takes a success, or makes a failure of it. Gives the error where it did. */
export function succeed(
  draft: RunDraft,
  task: number,
  index: number | null,
  made: { readonly output: Json; readonly table: TableRef | null },
): RunError | null {
  const compiled = taskAt(draft.facts.program, task);
  const refused =
    outputProblem(compiled, made.output) ?? outputsProblem(draft, compiled, made.output);
  if (refused !== null) return fail(draft, task, index, refused);
  // The branch and the lists behind see the task as it will be.
  draft.update(task, index, { state: 'success', error: null, ...made });
  refreshHead(draft, task);
  const chosen = isDone(draft.head(task).state) ? choose(draft, task) : null;
  const problem = chosen?.problem ?? listProblem(draft, task);
  if (problem !== null) return fail(draft, task, index, problem);
  if (chosen !== null) draft.update(task, null, { chosen: chosen.ids });
  finish(draft, task, index, { state: 'success' });
  return null;
}

/** Fails an attempt: it is made again if the policy has it, unless the run is being cancelled. */
export function fail(
  draft: RunDraft,
  task: number,
  index: number | null,
  error: RunError,
  retryAfterMs?: number,
): RunError {
  const compiled = taskAt(draft.facts.program, task);
  const before = draft.record(task, index);
  const interrupted = before.interrupted + (error.class === 'interrupted' ? 1 : 0);
  const nothing = { output: null, table: null, chosen: null, interrupted, error };
  if (isBeingCancelled(draft, compiled)) {
    finish(draft, task, index, { ...nothing, state: 'cancelled' });
    return error;
  }
  const pauseMs =
    compiled.spec === undefined
      ? null
      : retryPauseMs(compiled.definition.retry, {
          class: error.class,
          attempt: before.attempt,
          interrupted,
          retryAfterMs,
          seed: draft.seedOf(before),
        });
  if (pauseMs === null) {
    finish(draft, task, index, { ...nothing, state: 'failed' });
    return error;
  }
  const again = draft.facts.now + pauseMs;
  const pause = { nextAttemptAt: pauseMs === 0 ? null : again, readyAt: again, endedAt: null };
  draft.update(task, index, { ...nothing, ...pause, state: 'ready' });
  refreshHead(draft, task);
  return error;
}

/** Teardown tasks go on through a cancel, unless it was asked for again. */
export function isBeingCancelled(draft: RunDraft, task: CompiledTask): boolean {
  const { cancelling } = draft.run;
  return cancelling !== null && (cancelling.force || !isTeardown(task));
}

function outputProblem(task: CompiledTask, output: Json): RunError | null {
  const { id, outputSchema } = task.definition;
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes > limits.taskOutputBytesMax) {
    const message =
      `the output of "${id}" is ${bytes} bytes as JSON; at most ${limits.taskOutputBytesMax}: ` +
      `hand large data on as a table`;
    return { code: 'output_too_large', class: 'resources', message };
  }
  if (outputSchema === null) return null;
  const read = readJsonSchema(outputSchema);
  const problem = 'problem' in read ? `outputSchema ${read.problem}` : read.check(output);
  if (problem === undefined) return null;
  const message = `the output of "${id}" is not what outputSchema says: ${problem}`;
  return { code: 'output_schema', class: 'data', message };
}

/** What all instances of the run leave behind has a bound of its own. */
function outputsProblem(draft: RunDraft, task: CompiledTask, output: Json): RunError | null {
  const bytes = draft.outputBytes + Buffer.byteLength(JSON.stringify(output));
  if (bytes <= limits.runOutputBytesMax) return null;
  const message =
    `with the output of "${task.definition.id}" the outputs of this run are ${bytes} bytes; ` +
    `at most ${limits.runOutputBytesMax}: put out less per item, or hand data on as a table`;
  return { code: 'run_outputs_too_large', class: 'resources', message };
}

/** Evaluates the branch of a task that has succeeded. */
function choose(
  draft: RunDraft,
  task: number,
): { readonly ids: readonly string[]; readonly problem: RunError | null } | null {
  const { program } = draft.facts;
  const { branch, dependents, definition } = taskAt(program, task);
  if (branch === null || draft.head(task).state !== 'success') return null;
  const known = dependents.map((dependent) => taskAt(program, dependent).definition.id);
  try {
    const ids = branch(draft.scope());
    const unknown = ids.find((id) => !known.includes(id));
    if (unknown === undefined) return { ids, problem: null };
    const hint = suggestion(unknown, known) ?? 'name tasks whose needs hold this one';
    const message = `the branch of "${definition.id}" chose "${unknown}", no dependent: ${hint}`;
    return { ids: [], problem: { code: 'branch_unknown', class: 'definition', message } };
  } catch (thrown) {
    return { ids: [], problem: runErrorOf(thrown) };
  }
}

/** Of the lists that this success completes, one that is too long is its fault. */
function listProblem(draft: RunDraft, task: number): RunError | null {
  const { plan } = draft;
  const { program } = draft.facts;
  if (draft.head(task).state !== 'success') return null;
  for (const consumer of plan.consumers[task] ?? []) {
    const { forEach, definition } = taskAt(program, consumer);
    const sources = plan.listSources[consumer] ?? [];
    const whole = sources.every((source) => isDone(draft.head(source).state));
    if (forEach === null || !whole || draft.head(consumer).state !== 'waiting') continue;
    const found = listOf(() => forEach.items(draft.scope()), definition.id);
    // Anything else that is wrong with the list is the consumer's own fault, told when it expands.
    if (!Array.isArray(found) && (found as RunError).code === TOO_LONG) return found as RunError;
  }
  return null;
}

const TOO_LONG = 'for_each_too_long';

/** The items of a `forEach`, or why there are none. */
export function listOf(items: () => unknown, task: string): readonly Json[] | RunError {
  try {
    const list = items();
    if (!Array.isArray(list)) {
      const what = list === null ? 'null' : typeof list;
      const message = `forEach of "${task}" needs a list, and got: ${what}`;
      return { code: 'for_each_not_a_list', class: 'definition', message };
    }
    if (list.length <= limits.forEachItemsMax) return list as readonly Json[];
    const message =
      `the list for forEach of "${task}" has ${list.length} items; ` +
      `at most ${limits.forEachItemsMax}: let each item stand for several`;
    return { code: TOO_LONG, class: 'data', message };
  } catch (thrown) {
    return runErrorOf(thrown);
  }
}
