/**
 * What an operator can do with a run, or with the task that is chosen. Each is asked about first,
 * with what will happen; the device itself decides in the end, and its refusal is shown.
 */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { RunDetail } from '../../http/run-messages.ts';
import { plural } from '../format/amount.ts';
import { useApp, useMayOperate } from '../hooks.ts';
import { actionText, actionsOf, type RunAction } from '../runs/run-actions.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';

export function RunActions({
  run,
  task,
}: {
  run: RunDetail;
  /** Null: what can be done with the whole run. */
  task: string | null;
}): JSX.Element | null {
  const app = useApp();
  const mayOperate = useMayOperate();
  const [asking, setAsking] = useState<RunAction | null>(null);
  const actions = actionsOf(run, task);
  if (!mayOperate || actions.length === 0) return null;
  const act = (action: RunAction): Promise<unknown> => {
    const { runs } = app.api;
    switch (action.kind) {
      case 'cancel':
        return runs.cancel(run);
      case 'rerunFailed':
        return runs.rerun(run, null);
      case 'rerunAll':
        return runs.rerunAll(run);
      case 'rerunFrom':
        return runs.rerun(run, action.task);
      case 'markTask':
        return runs.markSuccess(run, action.task);
      case 'markRun':
        return runs.markSuccess(run, null);
    }
  };
  const text = asking === null ? null : actionText(asking, run);
  return (
    <div class="actions wrap">
      {actions.map((action) => (
        <button
          type="button"
          class={task === null ? 'button' : 'button small'}
          key={action.kind}
          onClick={() => setAsking(action)}
        >
          {actionText(action, run).button}
        </button>
      ))}
      {asking === null || text === null ? null : (
        <ConfirmDialog
          title={text.title}
          confirm={text.confirm}
          kind={asking.kind === 'cancel' ? 'danger' : 'primary'}
          onConfirm={() => act(asking)}
          onClose={() => setAsking(null)}
        >
          <p>{text.consequence}</p>
          {text.tasks.length === 0 ? null : (
            <details>
              <summary>{plural(text.tasks.length, 'task')}</summary>
              <p class="mono">{text.tasks.join(', ')}</p>
            </details>
          )}
        </ConfirmDialog>
      )}
    </div>
  );
}
