/**
 * From what a person types to the parameters of a run, by the job's declaration. The device checks
 * them again and in full; here is told at once what cannot be a value of the type. Pure.
 */
import type { ParameterDeclaration } from './batch-document.ts';

/** What is typed for each parameter; what is empty or absent is not overridden. */
export type ParameterTexts = Readonly<Record<string, string>>;

export interface ReadParameters {
  readonly values: Readonly<Record<string, unknown>>;
  /** By name. */
  readonly problems: Readonly<Record<string, string>>;
}

export function readParameters(
  declared: readonly ParameterDeclaration[],
  texts: ParameterTexts,
): ReadParameters {
  const values: Record<string, unknown> = {};
  const problems: Record<string, string> = {};
  for (const parameter of declared) {
    const text = texts[parameter.name] ?? '';
    if (text.trim() === '') continue;
    const read = readOne(parameter, text);
    if ('problem' in read) problems[parameter.name] = read.problem;
    else values[parameter.name] = read.value;
  }
  return { values, problems };
}

type Read = { readonly value: unknown } | { readonly problem: string };

function readOne({ type, values }: ParameterDeclaration, text: string): Read {
  // A choice is typed as JSON, since 1 and "1" are two values.
  if (values !== null) return parsed(text, 'choose one of the values');
  const trimmed = text.trim();
  switch (type) {
    case 'number': {
      const value = Number(trimmed);
      return Number.isFinite(value) ? { value } : { problem: 'is no number' };
    }
    case 'boolean':
      return parsed(trimmed, 'is true or false');
    case 'string':
      return { value: text };
    case 'duration':
      return /^\d+(\.\d+)?(ms|s|m|h|d|w)$/.test(trimmed)
        ? { value: trimmed }
        : { problem: 'is no duration: write 30s, 5m, 2h' };
    case 'list':
      return parsed(trimmed, 'is no list: write ["a", "b"]', Array.isArray);
    case 'map':
      return parsed(
        trimmed,
        'is no map: write {"a": 1}',
        (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      );
    default:
      return parsed(trimmed, 'is no JSON: text stands in quotes');
  }
}

function parsed(
  text: string,
  problem: string,
  fits: (value: unknown) => boolean = () => true,
): Read {
  try {
    const value: unknown = JSON.parse(text);
    return fits(value) ? { value } : { problem };
  } catch (error) {
    if (error instanceof SyntaxError) return { problem };
    throw error;
  }
}

/** What stands in an empty field: the value that holds without it. */
export function placeholderOf({ default: value }: ParameterDeclaration): string {
  if (value === undefined) return 'needs a value';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
