/** A field for text: what it is, how it is written, and what is wrong with what stands in it. */
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';

export function TextField({
  id,
  label,
  value,
  onText,
  problem,
  help,
  lines = 1,
  ...input
}: {
  id: string;
  label: string;
  value: string;
  onText: (text: string) => void;
  problem: string | undefined;
  help?: string | undefined;
  lines?: number;
  type?: 'text' | 'password';
  inputMode?: 'numeric' | 'url' | 'email' | 'text';
  placeholder?: string | undefined;
  /** The id of a list of proposals. */
  list?: string;
  maxLength?: number;
}): JSX.Element {
  const told = problem ?? help;
  const common = {
    id,
    value,
    spellcheck: false,
    autocomplete: 'off',
    'aria-invalid': problem !== undefined,
    'aria-describedby': told === undefined ? undefined : `${id}-told`,
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {lines === 1 ? (
        <input
          type="text"
          {...input}
          {...common}
          onInput={(event) => onText(event.currentTarget.value)}
        />
      ) : (
        <textarea
          {...common}
          placeholder={input.placeholder}
          rows={lines}
          onInput={(event) => onText(event.currentTarget.value)}
        />
      )}
      {told === undefined ? null : (
        <span class={problem === undefined ? 'help' : 'help wrong'} id={`${id}-told`}>
          {told}
        </span>
      )}
    </div>
  );
}

/** What is wrong, by the name of the field. */
export type FieldProblems = Readonly<Record<string, string>>;

export const noProblems: FieldProblems = {};

/** Whoever was told of something wrong goes on where it is. */
export function useFocusOnProblem(problems: FieldProblems): void {
  useEffect(() => {
    if (Object.keys(problems).length === 0) return;
    document.querySelector<HTMLElement>('dialog[open] [aria-invalid="true"]')?.focus();
  }, [problems]);
}
