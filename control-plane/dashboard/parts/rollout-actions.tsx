/** What an operator can do with a rollout; each asks first and says what it will do. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { RolloutItem } from '../../http/rollout-messages.ts';
import type { RolloutAction } from '../api/rollouts-api.ts';
import { useApp, useMayOperate } from '../hooks.ts';
import { actionWords, rolloutActions } from '../jobs/rollout-words.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';

export function RolloutActions({
  rollout,
  onDone,
}: {
  rollout: RolloutItem;
  onDone: () => void;
}): JSX.Element | null {
  const app = useApp();
  const mayOperate = useMayOperate();
  const [asking, setAsking] = useState<RolloutAction | null>(null);
  if (!mayOperate) return null;
  const words = asking === null ? null : actionWords(asking, rollout);
  const act = async (action: RolloutAction): Promise<void> => {
    await app.api.rollouts.act(rollout.job, action);
    onDone();
  };
  return (
    <div class="actions">
      {rolloutActions(rollout).map((action) => (
        <button
          type="button"
          class={action === 'approve' || action === 'resume' ? 'button primary' : 'button'}
          key={action}
          onClick={() => setAsking(action)}
        >
          {actionWords(action, rollout).button}
        </button>
      ))}
      {asking === null || words === null ? null : (
        <ConfirmDialog
          title={words.title}
          confirm={words.confirm}
          kind={words.kind}
          onConfirm={() => act(asking)}
          onClose={() => setAsking(null)}
        >
          {words.consequence}
        </ConfirmDialog>
      )}
    </div>
  );
}
