/** Holds alerts back for a while: which, for how long, and why. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { AlertItem } from '../../http/alert-messages.ts';
import { silenceSelector } from '../alerts/alert-list.ts';
import { useApp } from '../hooks.ts';
import { FormDialog } from './form-dialog.tsx';

const HOUR = 3_600_000;
const SPANS = [
  { ms: HOUR, word: '1 hour' },
  { ms: 4 * HOUR, word: '4 hours' },
  { ms: 24 * HOUR, word: '1 day' },
  { ms: 7 * 24 * HOUR, word: '1 week' },
] as const;

export function SilenceDialog({
  alert,
  onDone,
  onClose,
}: {
  /** Given: the silence is proposed for it. */
  alert?: AlertItem;
  onDone: () => void;
  onClose: () => void;
}): JSX.Element {
  const app = useApp();
  const [selector, setSelector] = useState(alert === undefined ? '' : silenceSelector(alert));
  const [spanMs, setSpanMs] = useState<number>(4 * HOUR);
  const [comment, setComment] = useState('');
  const make = async (close: () => void): Promise<void> => {
    const until = Math.round(app.now.value) + spanMs;
    await app.api.alerts.silence({ selector: selector.trim(), until, comment: comment.trim() });
    onDone();
    close();
  };
  return (
    <FormDialog
      title="Silence alerts"
      submit="Silence"
      busyWord="Working…"
      ready={selector.trim() !== '' && comment.trim() !== ''}
      onSubmit={make}
      onClose={onClose}
    >
      <label class="field">
        <span>Which: a selector over their labels</span>
        <input
          type="text"
          value={selector}
          placeholder="site=lyon, source=device"
          spellcheck={false}
          autocomplete="off"
          aria-describedby="silence-help"
          onInput={(event) => setSelector(event.currentTarget.value)}
        />
        <span class="help" id="silence-help">
          They are still seen here, and nobody is told of them.
        </span>
      </label>
      <label class="field">
        <span>For how long</span>
        <select value={spanMs} onChange={(event) => setSpanMs(Number(event.currentTarget.value))}>
          {SPANS.map(({ ms, word }) => (
            <option key={ms} value={ms}>
              {word}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>Why, for colleagues</span>
        <input
          type="text"
          value={comment}
          maxLength={200}
          placeholder="Press 4 is being moved"
          onInput={(event) => setComment(event.currentTarget.value)}
        />
      </label>
    </FormDialog>
  );
}
