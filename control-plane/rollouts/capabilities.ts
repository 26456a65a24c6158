/**
 * What an agent must be able to do before a job is placed on it. A batch job needs `batch`, the
 * kind of each of its tasks, and what a kind asks for besides (`sql`: DuckDB loads there); agents
 * say in their heartbeats what they can do. Pure.
 *
 * An agent that has not said anything yet is unknown: it gets the job once it says that it can.
 */
import { batchFacts } from '@runnel/shared/definitions/check-tasks.ts';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';

/** Sorted, each once; empty for what every agent runs. Error: `definition_invalid`. */
export function capabilitiesNeeded(document: unknown): readonly string[] {
  if ((document as { kind?: unknown } | null)?.kind !== 'BatchJob') return [];
  const job = parseJobDocument(document);
  return job.kind === 'BatchJob' ? batchFacts(job).requires : [];
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
