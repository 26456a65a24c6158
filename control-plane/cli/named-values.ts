/** `name=value` on the command line, read by what the job declares. */
import { usageError } from './cli-error.ts';

interface Declared {
  readonly type?: string | null | undefined;
  readonly schema?: unknown;
}

/** Error `usage`: no `name=value`; `shown` says how it was given. */
export function namedValues(
  given: readonly string[],
  declared: Readonly<Record<string, Declared>>,
  shown: (text: string) => string,
): Record<string, unknown> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw usageError(`${shown(text)} is no name=value`, 'for example limit=0.8');
      const name = text.slice(0, at);
      const spec = Object.hasOwn(declared, name) ? declared[name] : undefined;
      return [name, valueOf(text.slice(at + 1), spec)];
    }),
  );
}

/** JSON, or the text itself: always for what is declared as text, else where it is no JSON. */
function valueOf(text: string, declared: Declared | undefined): unknown {
  const schema = declared?.schema as { readonly type?: unknown } | null | undefined;
  const type = declared?.type ?? schema?.type;
  if (type === 'string' || type === 'duration') return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // Whoever takes it says what is wrong with it, in the words of its parameter.
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}
