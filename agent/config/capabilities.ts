/** What an agent of this release offers, in words that placement and people can match on. */
import { sinks } from '@runnel/shared/definitions/sinks/registry.ts';
import { sources } from '@runnel/shared/definitions/sources/registry.ts';
import { TASK_KINDS } from '@runnel/shared/definitions/task-kinds.ts';

/** Optional packages that were found on this device, by capability: `sql`, `sqlite`. */
export type OptionalPackages = Readonly<Record<'sql' | 'sqlite', () => boolean>>;

export function agentCapabilities(packages: OptionalPackages): string[] {
  const found = Object.entries(packages).filter(([, isThere]) => isThere());
  return [
    'stream',
    'batch',
    ...sources.map(({ kind }) => `source:${kind}`),
    ...sinks.map(({ kind }) => `sink:${kind}`),
    ...TASK_KINDS.map((kind) => `task:${kind}`),
    ...found.map(([capability]) => capability),
  ];
}
