/** A native dialog that is shown at once and asks the server for something. */
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { asError } from '../hooks.ts';

interface AskingDialog {
  readonly dialog: RefObject<HTMLDialogElement>;
  readonly busy: boolean;
  /** What went wrong the last time. */
  readonly error: Error | null;
  /** Never rejects. */
  readonly ask: () => Promise<void>;
  readonly close: () => void;
}

export function useDialog(action: (close: () => void) => Promise<unknown>): AskingDialog {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const close = (): void => dialog.current?.close();
  const ask = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await action(close);
    } catch (thrown) {
      setError(asError(thrown));
    } finally {
      setBusy(false);
    }
  };
  return { dialog, busy, error, ask, close };
}
