/**
 * Asks before something that cannot be taken back. A native dialog: focus is held inside, Escape
 * leaves, and focus returns to where it was. What went wrong is said in it and it stays open.
 */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { asError } from '../hooks.ts';
import { ErrorNote } from './panel.tsx';

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
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const run = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (thrown) {
      setError(asError(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      <div class="dialog-text">{children}</div>
      {error === null ? null : <ErrorNote error={error} />}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class={`button ${kind}`} disabled={busy} onClick={() => void run()}>
          {busy ? 'Working…' : confirm}
        </button>
      </div>
    </dialog>
  );
}
