/** Copies text, and says so. Where the browser has no clipboard (plain http), selects the text. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { icons } from './icons.tsx';

export function CopyButton({
  text,
  label,
  selectId,
  primary = false,
}: {
  text: string;
  label: string;
  /** The element whose text is selected when it cannot be copied. */
  selectId: string;
  primary?: boolean;
}): JSX.Element {
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) return undefined;
    const timer = setTimeout(() => setSaid(null), 3000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid('Copied');
    } catch (error) {
      console.info('no clipboard here; the text is selected instead', error);
      select(selectId);
      setSaid('Selected: press Ctrl C');
    }
  };
  return (
    <button type="button" class={primary ? 'button primary' : 'button'} onClick={() => void copy()}>
      {said === null ? icons.copy : icons.done}
      <span aria-live="polite">{said ?? label}</span>
    </button>
  );
}

function select(id: string): void {
  const element = document.getElementById(id);
  if (element !== null) getSelection()?.selectAllChildren(element);
}
