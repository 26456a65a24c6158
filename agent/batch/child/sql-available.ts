/**
 * Whether this device can run DuckDB: the optional package is installed, with the binary of this
 * platform. Found by its files: loading it would cost the agent 70 MB for nothing.
 */
import { createRequire } from 'node:module';

export function sqlAvailable(from: string = import.meta.url): boolean {
  const api = resolved(from, '@duckdb/node-api');
  const bindings = api && resolved(api, '@duckdb/node-bindings');
  if (bindings === undefined) return false;
  const platform = `@duckdb/node-bindings-${process.platform}-${process.arch}`;
  return ['', '-musl'].some(
    (libc) => resolved(bindings, `${platform}${libc}/duckdb.node`) !== undefined,
  );
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
