/**
 * Whether a job may touch a path (DESIGN.md §6.6): under the data directory, or under what
 * policy.yaml allows.
 *
 * Guarantees: relative paths are under the data directory; symbolic links are followed before the
 * judgement, for the file and for every directory above it, so that no link leads out; the agent's
 * own files (key, credentials, store, settings) are refused whatever else is allowed, under any
 * name that leads to them. A path that does not exist yet is judged by what exists above it.
 */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, parse, relative, resolve, sep } from 'node:path';
import { messageOf } from '@runnel/shared/errors.ts';
import { isMissing } from './durable-file.ts';
import { OWN_NAMES } from './data-files.ts';

/** The reason why `path` is refused, or undefined when it may be used. */
export function refusePath(
  path: string,
  dataDir: string,
  allowed: readonly string[],
): string | undefined {
  if (path === '' || path.includes('\0')) return 'the path is empty or holds a NUL character';
  const wanted = resolve(dataDir, path);
  let base: string;
  let real: string;
  let roots: string[];
  try {
    base = realPath(resolve(dataDir));
    real = realPath(wanted);
    roots = [base, ...allowed.map((root) => realPath(resolve(dataDir, root)))];
  } catch (error) {
    return `path ${path} cannot be judged: ${messageOf(error)}`;
  }
  if (!roots.some((root) => isWithin(real, root))) {
    const through = real === wanted ? '' : ` (it leads to ${real})`;
    return `path ${path}${through} is not under the data directory or a path of policy.yaml`;
  }
  const first = relative(base, real).split(sep)[0] ?? '';
  if (isWithin(real, base) && OWN_NAMES.some((name) => name.test(first))) {
    return `path ${path} is the agent's own`;
  }
  return undefined;
}

/** Whether `path` is `root` or below it; both absolute. */
export function isWithin(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === '' || (!isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`));
}

const LINKS_MAX = 40;

/**
 * The path with all links of its existing part resolved. A link to what does not exist yet is
 * followed too: writing through it would make the file where it points.
 */
function realPath(path: string, links = 0): string {
  const missing: string[] = [];
  let existing = path;
  for (;;) {
    try {
      return join(realpathSync(existing), ...missing);
    } catch (error) {
      if (!isMissing(error) || existing === parse(existing).root) throw error;
    }
    const target = linkTarget(existing);
    if (target !== undefined) {
      if (links >= LINKS_MAX) throw new Error(`too many links at ${existing}`);
      return realPath(join(resolve(dirname(existing), target), ...missing), links + 1);
    }
    missing.unshift(basename(existing));
    existing = dirname(existing);
  }
}

function linkTarget(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}
