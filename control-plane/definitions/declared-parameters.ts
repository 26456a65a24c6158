import type { Declared } from './parameter-layers.ts';

/** What a job document that was checked when it came declares; empty where it declares nothing. */
export function declaredParameters(document: unknown): Declared {
  const { parameters } = (document ?? {}) as { readonly parameters?: Declared };
  return parameters ?? {};
}
