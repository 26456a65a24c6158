/** Which actions a run allows as far as the page knows, and what is said before each. Pure. */
import type { RunDetail } from '../../http/run-messages.ts';
import { behind } from './task-order.ts';

export type RunAction =
  | { readonly kind: 'cancel' | 'rerunFailed' | 'rerunAll' | 'markRun' }
  /** On a device, to clear a task is the same as to rerun from it; one button is enough. */
  | { readonly kind: 'rerunFrom' | 'markTask'; readonly task: string };

export interface ActionText {
  readonly button: string;
  readonly title: string;
  readonly confirm: string;
  readonly consequence: string;
  /** Tasks that run again, or that count as done. */
  readonly tasks: readonly string[];
}

const BROKEN: readonly (string | null)[] = ['failed', 'upstream_failed', 'cancelled'];

/** With the whole run, or, given a task of it, with that. */
export function actionsOf(run: RunDetail, task: string | null): RunAction[] {
  const ended = run.state !== 'queued' && run.state !== 'running';
  if (task !== null) {
    const state = run.tasks.find(({ id }) => id === task)?.state ?? null;
    const markable = state !== 'running' && state !== 'success';
    return [
      ...(ended ? [{ kind: 'rerunFrom', task } as const] : []),
      ...(markable ? [{ kind: 'markTask', task } as const] : []),
    ];
  }
  if (!ended) return [{ kind: 'cancel' }];
  return [
    ...(brokenTasks(run).length > 0 ? [{ kind: 'rerunFailed' } as const] : []),
    { kind: 'rerunAll' },
    ...(run.state === 'success' ? [] : [{ kind: 'markRun' } as const]),
  ];
}

export function actionText(action: RunAction, run: RunDetail): ActionText {
  const where = `on ${run.agentName}`;
  switch (action.kind) {
    case 'cancel':
      return {
        button: 'Cancel run…',
        title: `Cancel the run of ${run.partition}?`,
        confirm: 'Cancel the run',
        consequence:
          `What runs ${where} is stopped and what waits does not start. Teardown ` +
          'tasks still run. What has succeeded stays done, and the run can ' +
          'be run again.',
        tasks: [],
      };
    case 'rerunFailed':
      return {
        button: 'Rerun failed…',
        title: 'Run again what did not succeed?',
        confirm: 'Rerun',
        consequence:
          `The same run goes back to the queue ${where}, as try ${run.tries + 1}. ` +
          'Tasks that succeeded do not run again, unless a setup has to be ' +
          'made again.',
        tasks: brokenTasks(run),
      };
    case 'rerunAll':
      return rerunAllText(run, where);
    case 'rerunFrom':
      return {
        button: 'Rerun from here on…',
        title: `Run again from ${action.task} on?`,
        confirm: 'Rerun',
        consequence:
          `The same run goes back to the queue ${where}, as try ${run.tries + 1}. ` +
          `${action.task} and everything behind it runs again, whatever became ` +
          'of it; the rest stays as it is.',
        tasks: [...behind(run.tasks, action.task)],
      };
    case 'markTask':
      return {
        button: 'Mark success…',
        title: `Take ${action.task} for succeeded?`,
        confirm: 'Mark success',
        consequence:
          `${action.task} counts as done without having run, and with no output. ` +
          `What did not run because of it runs now, ${where}.`,
        tasks: [],
      };
    case 'markRun':
      return {
        button: 'Mark success…',
        title: `Take the run of ${run.partition} for succeeded?`,
        confirm: 'Mark success',
        consequence:
          'Every task that was not skipped counts as done and nothing runs. ' +
          'The partition is complete: neither the schedule nor a backfill ' +
          'of what failed runs it again.',
        tasks: [],
      };
  }
}

function rerunAllText(run: RunDetail, where: string): ActionText {
  return {
    button: 'Rerun all…',
    title: `Run ${run.partition} again?`,
    confirm: 'Rerun all',
    consequence:
      `The same run goes back to the queue ${where}, as try ${run.tries + 1}, with the version ` +
      'and the parameters that it had, and every task runs again. Its output replaces what the ' +
      'partition had.',
    tasks: run.tasks.map(({ id }) => id),
  };
}

function brokenTasks({ tasks }: RunDetail): string[] {
  return tasks.filter(({ state }) => BROKEN.includes(state)).map(({ id }) => id);
}
