/**
 * The life of a run, as a pure transition (DESIGN.md §8): tasks wait, are judged, run, are made
 * again, and the run ends when all of them are done.
 *
 * Guarantees: no clock, randomness or I/O in here; what comes out of a sequence of events is a
 * function of the program and the events; every state of a run answers every event (a missing cell
 * of `TABLE` does not compile). A snapshot that came out is settled: whatever could be judged was.
 *
 * What a person asks for and cannot be had throws a `RunnelError` with a hint and changes nothing;
 * an event of the runtime that does not fit throws `invariant_broken`.
 */
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { assert, RunnelError } from '@runnel/shared/errors.ts';
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import type { RunError, RunState } from '@runnel/shared/protocol/runs.ts';
import type { TableRef, TaskRecord } from '../records.ts';
import { fail, finish, refreshHead, succeed } from './attempt-outcome.ts';
import { settle } from './judge-task.ts';
import { markSuccess } from './mark-success.ts';
import { rerun } from './rerun.ts';
import { type RemovedInstance, RunDraft, type RunEffect } from './run-draft.ts';
import { endRunWhenDone } from './run-end.ts';
import { isTeardown, taskAt } from './run-plan.ts';
import { isDone, type RunSnapshot } from './run-snapshot.ts';
import type { AgentFacts } from './task-scope.ts';

/** An instance by the position of its task in the program; index null without `forEach`. */
export interface InstanceRef {
  readonly task: number;
  readonly index: number | null;
}

export type RunEvent =
  /** The run may begin: admission let it. */
  | { readonly kind: 'start' }
  | ({ readonly kind: 'attemptStarted' } & InstanceRef)
  /** May turn out a failure: look at the state that the instance has after. */
  | ({
      readonly kind: 'attemptSucceeded';
      readonly output: Json;
      readonly table: TableRef | null;
    } & InstanceRef)
  | ({
      readonly kind: 'attemptFailed';
      readonly error: RunError;
      readonly retryAfterMs?: number | undefined;
    } & InstanceRef)
  /** What is ready can never start on this device: it fails without an attempt. */
  | ({ readonly kind: 'attemptRefused'; readonly error: RunError } & InstanceRef)
  /** After a restart: every attempt that was running was interrupted. */
  | { readonly kind: 'resumed' }
  /** By a person, or because of `overlap: cancelOther`. A second one ends teardown tasks too. */
  | { readonly kind: 'cancel'; readonly reason: string }
  /** The run took longer than the job's `timeout`. */
  | { readonly kind: 'timedOut' }
  /** From this task on, or (null) whatever did not succeed, or all; `clear` is one from a task. */
  | {
      readonly kind: 'rerun';
      readonly from: string | null;
      readonly all?: boolean;
      readonly fullRefresh?: boolean;
    }
  | { readonly kind: 'clear'; readonly task: string }
  /** Null: the run with all its tasks. */
  | { readonly kind: 'markSuccess'; readonly task: string | null };

export interface RunStep {
  readonly state: RunSnapshot;
  /** Records of tasks and instances that are not what they were, each once. */
  readonly changed: readonly TaskRecord[];
  /** Records to delete. */
  readonly removed: readonly RemovedInstance[];
  readonly runChanged: boolean;
  /** In the order in which they are to be done. */
  readonly effects: readonly RunEffect[];
}

export type RunEventKind = RunEvent['kind'];
type EventOf<E extends RunEventKind> = Extract<RunEvent, { kind: E }>;
type Cell<E extends RunEventKind> = (draft: RunDraft, event: EventOf<E>) => void;
type Row = { readonly [E in RunEventKind]: Cell<E> };

/** `now` is epoch ms; `agent` is what expressions see of the device. */
export function transition(
  program: BatchProgram,
  snapshot: RunSnapshot,
  event: RunEvent,
  now: number,
  agent: AgentFacts,
): RunStep {
  const draft = new RunDraft(snapshot, { program, now, agent });
  // The one cast: TypeScript cannot see that the cell belongs to this event.
  const row = TABLE[snapshot.run.state] as Readonly<Record<string, Cell<RunEventKind>>>;
  (row[event.kind] as Cell<RunEventKind>)(draft, event);
  settle(draft);
  endRunWhenDone(draft);
  const state = draft.snapshot();
  return {
    state,
    changed: draft.changed(),
    removed: draft.removed(),
    runChanged: state.run !== snapshot.run,
    effects: draft.effects,
  };
}

const stay = (): void => undefined;

function unfit(draft: RunDraft, event: RunEvent): never {
  const { state, id } = draft.run;
  throw new RunnelError('invariant_broken', `${event.kind} for run ${id}, which is ${state}`);
}

function stillActive(draft: RunDraft, event: RunEvent): never {
  throw new RunnelError('run_active', `run ${draft.run.id} is ${draft.run.state}`, {
    hint: `${event.kind} is for a run that has ended: wait for it, or cancel it`,
  });
}

function alreadyEnded(draft: RunDraft): never {
  throw new RunnelError('run_ended', `run ${draft.run.id} has ended: ${draft.run.state}`, {
    hint: 'only a run that is queued or running can be cancelled',
  });
}

function start(draft: RunDraft): void {
  draft.run = { ...draft.run, state: 'running', startedAt: draft.facts.now };
  wakeAll(draft);
}

function attemptStarted(draft: RunDraft, { task, index }: EventOf<'attemptStarted'>): void {
  const { state, attempt, task: id } = draft.record(task, index);
  assert(state === 'ready', `an attempt of ${id} began while it was ${state}`);
  draft.update(task, index, {
    state: 'running',
    attempt: attempt + 1,
    startedAt: draft.facts.now,
    nextAttemptAt: null,
    readyAt: null,
    error: null,
  });
}

function attemptSucceeded(draft: RunDraft, event: EventOf<'attemptSucceeded'>): void {
  assertRunning(draft, event);
  const { output, table } = event;
  succeed(draft, event.task, event.index, { output, table });
}

function attemptFailed(draft: RunDraft, event: EventOf<'attemptFailed'>): void {
  assertRunning(draft, event);
  fail(draft, event.task, event.index, event.error, event.retryAfterMs);
}

function attemptRefused(draft: RunDraft, event: EventOf<'attemptRefused'>): void {
  const { task, index, error } = event;
  const { state, task: id } = draft.record(task, index);
  assert(state === 'ready', `an attempt of ${id} was refused while it was ${state}`);
  finish(draft, task, index, { state: 'failed', error });
}

function assertRunning(draft: RunDraft, { task, index }: InstanceRef): void {
  const { state, task: id, items } = draft.record(task, index);
  const fits = state === 'running' && items === null;
  assert(fits, `an attempt of ${id} ended while it was ${state}`);
}

const INTERRUPTED: RunError = {
  code: 'interrupted',
  class: 'interrupted',
  message: 'the agent stopped while the attempt ran',
};

function resumed(draft: RunDraft): void {
  forEachInstance(draft, (task, { index, state }) => {
    if (state === 'running') fail(draft, task, index, INTERRUPTED);
  });
  wakeAll(draft);
}

function cancelQueued(draft: RunDraft, { reason }: EventOf<'cancel'>): void {
  const { now } = draft.facts;
  // It never began in this try, so there is nothing that a teardown task could tear down.
  draft.run = { ...draft.run, state: 'running', cancelling: { reason, at: now, force: true } };
  endAll(draft);
}

function cancelRunning(draft: RunDraft, { reason }: EventOf<'cancel'>): void {
  const { cancelling } = draft.run;
  const next = cancelling ?? { reason, at: draft.facts.now, force: false };
  draft.run = { ...draft.run, cancelling: cancelling === null ? next : { ...next, force: true } };
  endAll(draft);
}

function timeOut(draft: RunDraft): void {
  if (draft.run.cancelling !== null) return;
  const { now, program } = draft.facts;
  const limit = durationText(program.job.timeoutMs ?? 0);
  const message = `the run took longer than its timeout of ${limit}`;
  draft.run = {
    ...draft.run,
    cancelling: { reason: 'timeout', at: now, force: false },
    error: { code: 'run_timeout', class: 'timeout', message },
  };
  endAll(draft);
}

/** Ends what has not begun and aborts what runs; teardown tasks go on unless it is forced. */
function endAll(draft: RunDraft): void {
  const force = draft.run.cancelling?.force === true;
  const goesOn = (task: number): boolean => !force && isTeardown(taskAt(draft.facts.program, task));
  forEachInstance(draft, (task, { index, state }) => {
    if (isDone(state) || goesOn(task)) return;
    if (state === 'running') draft.abort(task, index);
    else finish(draft, task, index, { state: 'cancelled' });
  });
  for (const task of draft.tasks.keys()) {
    if (!goesOn(task)) refreshHead(draft, task);
    else draft.wake(task);
  }
}

function forEachInstance(
  draft: RunDraft,
  visit: (task: number, instance: TaskRecord) => void,
): void {
  for (const [task, group] of [...draft.tasks].entries()) {
    const instances = group.length > 1 ? group.slice(1) : [...group];
    for (const instance of instances) visit(task, instance);
  }
}

function wakeAll(draft: RunDraft): void {
  for (const task of draft.tasks.keys()) draft.wake(task);
}

/** What only a run that runs can meet. */
const NOT_RUNNING = {
  attemptStarted: unfit,
  attemptSucceeded: unfit,
  attemptFailed: unfit,
  attemptRefused: unfit,
} satisfies Partial<Row>;

const ENDED: Row = {
  ...NOT_RUNNING,
  start: unfit,
  // A timer that fired as the last task ended, and a restart, change nothing.
  timedOut: stay,
  resumed: stay,
  cancel: alreadyEnded,
  rerun: (draft, { from, all, fullRefresh }) =>
    rerun(draft, all === true ? 'all' : { from }, fullRefresh === true),
  clear: (draft, { task }) => rerun(draft, { from: task }, false),
  markSuccess,
};

const TABLE: { readonly [S in RunState]: Row } = {
  queued: {
    ...NOT_RUNNING,
    start,
    timedOut: unfit,
    resumed: stay,
    cancel: cancelQueued,
    rerun: stillActive,
    clear: stillActive,
    markSuccess,
  },
  running: {
    start: unfit,
    attemptStarted,
    attemptSucceeded,
    attemptFailed,
    attemptRefused,
    resumed,
    cancel: cancelRunning,
    timedOut: timeOut,
    rerun: stillActive,
    clear: stillActive,
    markSuccess,
  },
  success: ENDED,
  failed: ENDED,
  cancelled: ENDED,
};
