/**
 * Paths as the device's files decide them: a path that does not exist yet is judged by what exists
 * above it.
 */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, parse, resolve } from 'node:path';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import type { PathRules } from '@runnel/shared/policy/path-policy.ts';
import { isMissing } from './durable-file.ts';

/** Which paths jobs may touch on this device. */
export function pathRules(policy: Pick<AgentPolicy, 'paths'>, dataDir: string): PathRules {
  return { dataDir, allowed: policy.paths, realPath: (path) => realPath(path) };
}

const LINKS_MAX = 40;

/**
 * The path with all links of its existing part resolved. A link to what does not exist yet is
 * followed too: writing through it would make the file where it points.
 */
export function realPath(path: string, links = 0): string {
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
