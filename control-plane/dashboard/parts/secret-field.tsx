/**
 * A secret of a receiver: where it comes from. What is set is never shown, here or anywhere; it
 * stays as it is until something takes its place.
 */
import type { JSX } from 'preact';
import { SECRET_MODES, type SecretDraft, type SecretMode } from '../alerts/receiver-draft.ts';
import { TextField } from './text-field.tsx';

const ASKED: Readonly<Record<Exclude<SecretMode, 'keep' | 'none'>, Asked>> = {
  text: { word: 'Type it here', label: 'the secret', help: 'Kept by the control plane.' },
  env: {
    word: 'From a variable of the control plane',
    label: 'the variable',
    help: 'Its name begins with RUNNEL_SECRET_.',
  },
  file: {
    word: 'From a file of the control plane',
    label: 'the file',
    help: 'Its name in secrets/ of the data directory.',
  },
};

interface Asked {
  readonly word: string;
  readonly label: string;
  readonly help: string;
}

export function SecretField({
  name,
  label,
  origin,
  draft,
  problem,
  onDraft,
}: {
  name: string;
  label: string;
  /** Where the one that is set comes from; undefined when none is. */
  origin: string | undefined;
  draft: SecretDraft;
  problem: string | undefined;
  onDraft: (draft: SecretDraft) => void;
}): JSX.Element {
  const { mode, text } = draft;
  const modes = SECRET_MODES.filter((each) => each !== 'none' || origin !== undefined);
  const asked = mode === 'keep' || mode === 'none' ? null : ASKED[mode];
  return (
    <div class="secret">
      <label class="field">
        <span>{label}</span>
        <select
          value={mode}
          onChange={(event) => onDraft({ mode: event.currentTarget.value as SecretMode, text: '' })}
        >
          {modes.map((each) => (
            <option key={each} value={each}>
              {wordOf(each, origin)}
            </option>
          ))}
        </select>
      </label>
      {asked === null ? null : (
        <TextField
          id={`secret-${name}`}
          label={`${label}: ${asked.label}`}
          type={mode === 'text' ? 'password' : 'text'}
          value={text}
          problem={problem}
          help={asked.help}
          onText={(next) => onDraft({ mode, text: next })}
        />
      )}
    </div>
  );
}

function wordOf(mode: SecretMode, origin: string | undefined): string {
  if (mode === 'keep') return origin === undefined ? 'None' : `As it is (${origin})`;
  return mode === 'none' ? 'Take it away' : ASKED[mode].word;
}
