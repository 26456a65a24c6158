/**
 * Asks before something that cannot be taken back. A native dialog: focus is held inside, Escape
 * leaves, and focus returns to where it was. What went wrong is said in it and it stays open.
 */
import type { ComponentChildren, JSX } from 'preact';
import { ErrorNote } from './panel.tsx';
import { useDialog } from './use-dialog.ts';

export function ConfirmDialog({
  title,
  confirm,
  kind,
  onConfirm,
  onClose,
  children,
}: {
  title: string;
  confirm: string;
  kind: 'primary' | 'danger';
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
  children: ComponentChildren;
}): JSX.Element {
  const { dialog, busy, error, ask, close } = useDialog(async (done) => {
    await onConfirm();
    done();
  });
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      <div class="dialog-text">{children}</div>
      {error === null ? null : <ErrorNote error={error} />}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={close}>
          Cancel
        </button>
        <button type="button" class={`button ${kind}`} disabled={busy} onClick={() => void ask()}>
          {busy ? 'Working…' : confirm}
        </button>
      </div>
    </dialog>
  );
}
