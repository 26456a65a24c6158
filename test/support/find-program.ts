/** Programs beside npm packages, by name: on the PATH or where Debian puts servers. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const EXTRA = ['/usr/sbin', '/usr/local/sbin', '/usr/lib/postgresql/15/bin'];

export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...EXTRA];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export function requireProgram(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed: run npm test as root`);
  return path;
}
