/**
 * A dialog with fields. A native one: focus is held inside, Escape leaves, and focus returns to
 * where it was. What went wrong is said in it and it stays open, as typed; so is what was answered.
 */
import type { ComponentChildren, JSX } from 'preact';
import { ErrorNote } from './panel.tsx';
import { useDialog } from './use-dialog.ts';

export function FormDialog({
  title,
  submit,
  busyWord = 'Asking the devices…',
  ready,
  onSubmit,
  onClose,
  children,
}: {
  title: string;
  /** Null: all is done, and the dialog can only be closed. */
  submit: string | null;
  busyWord?: string;
  /** False while something is missing or wrong. */
  ready: boolean;
  /** Closes the dialog by itself, or leaves it open with what was answered. */
  onSubmit: (close: () => void) => Promise<unknown>;
  onClose: () => void;
  children: ComponentChildren;
}): JSX.Element {
  const { dialog, busy, error, ask, close } = useDialog(onSubmit);
  return (
    <dialog ref={dialog} class="dialog wide" aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !busy && submit !== null) void ask();
        }}
      >
        {children}
        {error === null ? null : <ErrorNote error={error} />}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={close}>
            {submit === null ? 'Close' : 'Cancel'}
          </button>
          {submit === null ? null : (
            <button type="submit" class="button primary" disabled={busy || !ready}>
              {busy ? busyWord : submit}
            </button>
          )}
        </div>
      </form>
    </dialog>
  );
}
