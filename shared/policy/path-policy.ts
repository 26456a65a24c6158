/**
 * Whether a job may touch a path (DESIGN.md §6.6): under the data directory, or under what
 * policy.yaml allows.
 *
 * Guarantees: relative paths are under the data directory; symbolic links are followed before the
 * judgement, for the file and for every directory above it, so that no link leads out; the agent's
 * own files (key, credentials, store, settings) are refused whatever else is allowed, under any
 * name that leads to them.
 *
 * Only the device can follow links. Elsewhere paths are judged as they are written, so a job that
 * reaches an allowed directory by a link outside of it is taken for refused: policy.yaml must name
 * the path as the job does.
 */
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { messageOf } from '../errors.ts';

export interface PathRules {
  /** Absolute. */
  readonly dataDir: string;
  /** Directories beside it; relative ones are under it. */
  readonly allowed: readonly string[];
  /** The path with all of its links resolved; throws when it cannot be. */
  readonly realPath: (path: string) => string;
}

/** First segments, below the data directory, of everything that is the agent's own. */
const OWN_NAMES: readonly RegExp[] = [
  /^agent\.(yaml|sock|lock|pid)/,
  /^policy\.yaml/,
  /^identity$/,
  /^store/,
  /^batch$/,
  /^\./,
];

/** The reason why `path` is refused, or undefined when it may be used. */
export function refusePath(path: string, rules: PathRules): string | undefined {
  const { dataDir, allowed, realPath } = rules;
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
function isWithin(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === '' || (!isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`));
}
