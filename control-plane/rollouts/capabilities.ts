/**
 * What an agent must be able to do before a job is placed on it. A batch job needs `batch`, the
 * kind of each of its tasks, and what a kind asks for besides (`sql`: DuckDB loads there); agents
 * say in their heartbeats what they can do. Pure.
 *
 * An agent that has not said anything yet is unknown: it gets the job once it says that it can.
 */
import { tasks as kinds } from '@runnel/shared/definitions/tasks/registry.ts';
import { z } from 'zod';

/** Sorted, each once; empty for what every agent runs. */
export function capabilitiesNeeded(document: unknown): readonly string[] {
  const { kind, tasks } = (document ?? {}) as { kind?: unknown; tasks?: unknown };
  if (kind !== 'BatchJob') return [];
  const needed = new Set(['batch']);
  for (const task of Array.isArray(tasks) ? (tasks as unknown[]) : []) {
    for (const capability of neededByTask(task)) needed.add(capability);
  }
  return [...needed].toSorted();
}

function neededByTask(task: unknown): string[] {
  if (typeof task !== 'object' || task === null) return [];
  const spec = kinds.find((each) => Object.hasOwn(task, each.kind));
  if (spec === undefined) return [];
  const config: unknown = Reflect.get(task, spec.kind);
  // Templates may stand where the schema wants a number: then what is written has to do.
  const parsed = z.object(spec.fields).safeParse(config);
  const requires = spec.requires?.((parsed.success ? parsed.data : config) as never) ?? [];
  return [`task:${spec.kind}`, ...requires];
}

/** Null: not known, since the agent has said nothing yet. */
export type Missing = readonly string[] | null;

/** Undefined when nothing is missing. */
export function missingOf(
  needed: readonly string[],
  capabilities: readonly string[] | undefined,
): Missing | undefined {
  if (needed.length === 0) return undefined;
  if (capabilities === undefined) return null;
  const missing = needed.filter((capability) => !capabilities.includes(capability));
  return missing.length === 0 ? undefined : missing;
}

const WORDS: Readonly<Record<string, string>> = {
  batch: 'batch (its agent runs no batch jobs: update it)',
  sql: 'sql (DuckDB is not installed there)',
  sqlite: 'sqlite (libsql is not installed there)',
};

/** For people: why a job is not placed on an agent. */
export function missingText(missing: Missing): string {
  if (missing === null) return 'the device has not said yet what it can run';
  return `the device lacks ${missing.map((each) => WORDS[each] ?? each).join(', ')}`;
}
