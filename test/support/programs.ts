/**
 * Programs that tests need beside npm packages. A test whose program is missing is skipped by
 * name; with CI=true it fails, so that a bare machine cannot turn green by skipping.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

const EXTRA = ['/usr/sbin', '/usr/local/sbin', '/usr/lib/postgresql/15/bin'];

export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...EXTRA];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** `describe` when every program is there; skipped by name when not; in CI it runs and fails. */
export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (missing.length === 0 || process.env.CI === 'true') describe(name, body);
  else describe.skip(`${name} (needs ${missing.join(', ')})`, body);
}

export function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed: run npm run setup as root`);
  return path;
}
