/** What a kind of sink declares. */
import type { z } from 'zod';
import type { ComponentExample } from './source-definition.ts';
import type { Fields } from './strict.ts';

export interface SinkSpec {
  /** The YAML key that names it. */
  readonly kind: string;
  readonly summary: string;
  readonly guarantees: readonly string[];
  readonly fields: Fields;
  /** What fields say together: the field at fault and what is wrong. */
  readonly problem?: (config: never) => readonly [field: string, message: string] | undefined;
  readonly examples: readonly ComponentExample[];
}

/** Ties the check to the fields. */
export function defineSink<const Shape extends Fields>(
  spec: Omit<SinkSpec, 'fields' | 'problem'> & {
    readonly fields: Shape;
    readonly problem?: (config: {
      readonly [Key in keyof Shape]: z.output<Shape[Key]>;
    }) => readonly [field: string, message: string] | undefined;
  },
): Omit<SinkSpec, 'fields'> & { readonly fields: Shape } {
  return spec;
}
