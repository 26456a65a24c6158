/**
 * Which npm packages an archive holds: what the lock file says that some packages need on one
 * platform, each with the version and integrity that it pins, at the path at which Node finds it.
 */
import { z } from 'zod';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { PackagePlatform } from '@runnel/shared/protocol/packages.ts';

const names = z.record(z.string(), z.string()).default({});
const lockedPackage = z.object({
  version: z.string().optional(),
  integrity: z.string().optional(),
  os: z.array(z.string()).optional(),
  cpu: z.array(z.string()).optional(),
  dependencies: names,
  optionalDependencies: names,
});
type LockedPackage = z.infer<typeof lockedPackage>;

export const lockFile = z.object({
  lockfileVersion: z.literal(3),
  packages: z.record(z.string(), lockedPackage),
});
export type LockFile = z.infer<typeof lockFile>;

export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** `sha512-…`, as npm writes it. */
  readonly integrity: string;
  /** Where it goes, `node_modules/…`. */
  readonly path: string;
}

/**
 * Not needed to run: `node-addon-api` holds headers, `msgpackr-extract` is an accelerator of what
 * the agent does rarely, with a binary for each Node.
 */
const LEFT_OUT = new Set(['node-addon-api', 'msgpackr-extract']);

/** Error `lock_file`: a package that the lock file does not hold whole. */
export function closureOf(
  lock: LockFile,
  roots: readonly string[],
  platform: PackagePlatform,
): PinnedPackage[] {
  const found = new Map<string, PinnedPackage>();
  const visit = (name: string, from: string, optional: boolean): void => {
    if (LEFT_OUT.has(name)) return;
    const path = locate(lock, name, from);
    const locked = path === undefined ? undefined : lock.packages[path];
    if (path === undefined || locked === undefined) {
      if (optional) return;
      throw new RunnelError('lock_file', `package-lock.json does not hold ${name}`);
    }
    if (optional && !fits(name, locked, platform)) return;
    if (found.has(path)) return;
    const { version, integrity } = locked;
    if (version === undefined || integrity === undefined) {
      throw new RunnelError('lock_file', `package-lock.json pins no integrity for ${path}`);
    }
    found.set(path, { name, version, integrity, path });
    for (const need of Object.keys(locked.dependencies)) visit(need, path, false);
    for (const need of Object.keys(locked.optionalDependencies)) visit(need, path, true);
  };
  for (const root of roots) visit(root, '', false);
  return [...found.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** As Node looks for it: in the package's own `node_modules`, then in those around it. */
function locate(lock: LockFile, name: string, from: string): string | undefined {
  const folders = from.split(/(?:^|\/)node_modules\//).slice(1);
  for (let depth = folders.length; depth >= 0; depth -= 1) {
    const parents = folders.slice(0, depth).map((folder) => `node_modules/${folder}/`);
    const path = `${parents.join('')}node_modules/${name}`;
    if (lock.packages[path] !== undefined) return path;
  }
  return undefined;
}

/** Some packages say their C library only in their name. */
function fits(name: string, { os, cpu }: LockedPackage, platform: PackagePlatform): boolean {
  const [system = '', arch = ''] = platform.split('-');
  const isMusl = name.endsWith('-musl');
  return (os?.includes(system) ?? true) && (cpu?.includes(arch) ?? true) && !isMusl;
}
