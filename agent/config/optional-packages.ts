/** Which optional packages are installed here, with the binary of this platform; loads none. */
import { createRequire } from 'node:module';
import { sqlAvailable } from '../batch/child/sql-available.ts';
import type { OptionalPackages } from './capabilities.ts';

export const optionalPackages: OptionalPackages = {
  sql: () => sqlAvailable(),
  sqlite: sqliteAvailable,
};

function sqliteAvailable(): boolean {
  const libsql = resolved(import.meta.url, 'libsql');
  if (libsql === undefined) return false;
  const platform = `@libsql/${process.platform}-${process.arch}`;
  const binaries = ['', '-gnu', '-musl', '-msvc'].map((libc) => `${platform}${libc}`);
  return binaries.some((name) => resolved(libsql, name) !== undefined);
}

function resolved(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined;
    throw error;
  }
}
