/**
 * Suites that need programs beside npm packages. A suite whose program is missing is skipped by
 * name; with CI=true it runs and fails, so that a bare machine cannot turn green by skipping.
 */
import { describe } from 'vitest';
import { findProgram } from './find-program.ts';

export { requireProgram } from './find-program.ts';

export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (missing.length === 0 || process.env.CI === 'true') describe(name, body);
  else describe.skip(`${name} (needs ${missing.join(', ')})`, body);
}
