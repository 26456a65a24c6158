/**
 * A change of one parameter in one layer, as a person makes it: the scope as text, and the field in
 * which its value is written. The control plane judges both. Pure.
 */
import type { ParameterDeclaration } from '../../http/parameter-messages.ts';
import { ApiError } from '../api/api-client.ts';
import { fieldsOf, type ParameterDeclaration as Written } from '../runs/batch-document.ts';

export const LAYER_KINDS = ['fleet', 'label', 'site', 'agent'] as const;
export type LayerKind = (typeof LAYER_KINDS)[number];

export function scopeOf(kind: LayerKind, of: string): string {
  return kind === 'fleet' ? 'fleet' : `${kind}:${of.trim()}`;
}

/** The other way round. */
export function layerOf(scope: string): { readonly kind: LayerKind; readonly of: string } {
  const kind = LAYER_KINDS.find((each) => scope.startsWith(`${each}:`));
  return kind === undefined
    ? { kind: 'fleet', of: '' }
    : { kind, of: scope.slice(kind.length + 1) };
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  array: 'list',
  object: 'map',
};

/** What a JSON Schema allows is written as its type; the control plane judges the rest. */
export function writtenAs(parameter: ParameterDeclaration): Written {
  const { name, description, schema, default: otherwise } = parameter;
  const { type, enum: allowed } = fieldsOf(schema) ?? {};
  const ofSchema = typeof type === 'string' ? TYPE_WORDS[type] : undefined;
  return {
    name,
    description,
    schema,
    default: otherwise,
    type: parameter.type ?? ofSchema ?? 'schema',
    values: parameter.values ?? (Array.isArray(allowed) ? allowed : null),
  };
}

/** The value of a layer as it stands in its field. */
export function textOfValue({ type, values }: Written, value: unknown): string {
  const isPlain = typeof value === 'string' && values === null && PLAIN.includes(type);
  return isPlain ? value : JSON.stringify(value);
}

/** Types whose values are written without quotes. */
const PLAIN: readonly string[] = ['string', 'duration'];

/** What the control plane said, at the field that it is about; null when it is about neither. */
export function refusedEdit(error: unknown): Readonly<Record<string, string>> | null {
  if (!(error instanceof ApiError)) return null;
  const [issue] = error.issues;
  if (issue !== undefined) return { value: issue.message };
  if (SCOPE_CODES.includes(error.code)) return { scope: error.message };
  return null;
}

/** The job is there, since its page is: what is not found is the device. */
const SCOPE_CODES: readonly string[] = ['scope_invalid', 'selector_invalid', 'not_found'];
