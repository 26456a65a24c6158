/** A field for text: what it is, how it is written, and what is wrong with what stands in it. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';

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

interface Problems {
  readonly problems: FieldProblems;
  /**
   * Sends what has no problem of its `own`; false where something is wrong at a field. Throws a
   * refusal that `fieldsOf` finds no field for.
   */
  readonly send: (
    own: FieldProblems,
    request: () => Promise<unknown>,
    fieldsOf: (refusal: unknown) => FieldProblems | null,
  ) => Promise<boolean>;
}

/** Of the fields of a dialog. Whoever was told of something wrong goes on where it is. */
export function useProblems(): Problems {
  const [problems, setProblems] = useState<FieldProblems>({});
  useEffect(() => {
    if (Object.keys(problems).length === 0) return;
    document.querySelector<HTMLElement>('dialog[open] [aria-invalid="true"]')?.focus();
  }, [problems]);
  const send: Problems['send'] = async (own, request, fieldsOf) => {
    setProblems(own);
    if (Object.keys(own).length > 0) return false;
    try {
      await request();
    } catch (thrown) {
      const refused = fieldsOf(thrown);
      if (refused === null) throw thrown;
      setProblems(refused);
      return false;
    }
    return true;
  };
  return { problems, send };
}
