/**
 * The datasets that a job writes: those of a stream job's sinks (`results: { dataset }`), and what
 * the tasks of a batch job make or deliver. Pure.
 */
import { batchFacts } from '@runnel/shared/definitions/check-tasks.ts';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';

/** Sorted. A batch job that this release cannot read has none that are known. */
export function datasetsOf(document: unknown): readonly string[] {
  const { kind, sinks } = document as { kind?: unknown; sinks?: unknown };
  if (kind === 'BatchJob') return datasetsOfBatch(document);
  if (!Array.isArray(sinks)) return [];
  const names = sinks
    .map((sink: { results?: { dataset?: unknown } } | null) => sink?.results?.dataset)
    .filter((dataset) => typeof dataset === 'string');
  return [...new Set(names)].toSorted();
}

function datasetsOfBatch(document: unknown): readonly string[] {
  try {
    const job = parseJobDocument(document);
    return job.kind === 'BatchJob' ? batchFacts(job).datasets : [];
  } catch (error) {
    if (error instanceof DefinitionError) return [];
    throw error;
  }
}
