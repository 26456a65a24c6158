/** How states of runs and tasks look: each a shape of its own, a tone and a word. Pure. */
import type { RunState, RunTrigger, TaskState } from '@runnel/shared/protocol/runs.ts';
import type { RunItem } from '../../http/run-messages.ts';
import type { Look } from '../parts/look.ts';

const RUN_LOOKS: Readonly<Record<RunState, Look>> = {
  queued: { shape: 'dashed', tone: 'quiet', word: 'Queued' },
  running: { shape: 'half', tone: 'info', word: 'Running' },
  success: { shape: 'disc', tone: 'ok', word: 'Success' },
  failed: { shape: 'square', tone: 'error', word: 'Failed' },
  cancelled: { shape: 'minus', tone: 'quiet', word: 'Cancelled' },
};

/** Written here: the protocol's own list would bring its schemas into the page. */
export const RUN_STATES = Object.keys(RUN_LOOKS) as readonly RunState[];

const TASK_LOOKS: Readonly<Record<TaskState, Look>> = {
  waiting: { shape: 'dashed', tone: 'quiet', word: 'Waiting' },
  ready: { shape: 'ring', tone: 'info', word: 'Ready' },
  running: { shape: 'half', tone: 'info', word: 'Running' },
  success: { shape: 'disc', tone: 'ok', word: 'Success' },
  failed: { shape: 'square', tone: 'error', word: 'Failed' },
  skipped: { shape: 'slash', tone: 'quiet', word: 'Skipped' },
  upstream_failed: { shape: 'triangle', tone: 'warning', word: 'Upstream failed' },
  cancelled: { shape: 'minus', tone: 'quiet', word: 'Cancelled' },
};

const TRIGGER_WORDS: Readonly<Record<RunTrigger, string>> = {
  schedule: 'by its schedule',
  catchUp: 'to catch up',
  dataset: 'by a dataset',
  startup: 'at start-up',
  disk: 'by a full disk',
  manual: 'by hand',
  backfill: 'by a backfill',
};

const CANCELLING: Look = { shape: 'half', tone: 'warning', word: 'Cancelling' };

export function runLook(state: RunState): Look {
  return RUN_LOOKS[state];
}

/** Of one run: whether it was told to end is part of how it looks. */
export function lookOfRun({ state, cancelling }: Pick<RunItem, 'cancelling' | 'state'>): Look {
  return cancelling ? CANCELLING : RUN_LOOKS[state];
}

/** Null: nothing was reported of the task. */
export function taskLook(state: TaskState | null): Look {
  return state === null
    ? { shape: 'point', tone: 'quiet', word: 'Not reported yet' }
    : TASK_LOOKS[state];
}

export function triggerWords(trigger: RunTrigger): string {
  return TRIGGER_WORDS[trigger];
}
