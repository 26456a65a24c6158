/** Parameters as a desired job carries them, checked against what its document declares. */
import {
  effectiveParameters,
  type ParameterDefinition,
} from '@runnel/shared/definitions/parameters.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';

/**
 * Desired parameters are effective already (a duration is in milliseconds), or as people wrote.
 * Throws `DefinitionError`.
 */
export function jobParameters(
  declared: Readonly<Record<string, ParameterDefinition>>,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const written: Record<string, unknown> = {};
  const ready: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const isReady = declared[name]?.type === 'duration' && typeof value === 'number';
    if (isReady) ready[name] = value;
    written[name] = isReady ? 0 : value;
  }
  const { values, issues } = effectiveParameters(declared, written);
  if (issues.length > 0) throw new DefinitionError(issues);
  return { ...values, ...ready };
}
