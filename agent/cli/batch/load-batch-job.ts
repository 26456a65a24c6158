/** A batch job from a file, with parameters: what dry-run and `test` begin with. */
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import {
  type LayeredParameters,
  effectiveParametersOf,
} from '@runnel/shared/definitions/parameters.ts';
import { type ParsedJob, parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { readDocuments } from '@runnel/shared/definitions/yaml-document.ts';
import { DefinitionError, RunnelError } from '@runnel/shared/errors.ts';
import { readText } from '../load-stream-job.ts';

export interface LoadedBatchJob {
  readonly file: string;
  readonly parsed: ParsedJob;
  readonly job: BatchJob;
}

/** Whether the file says that it is a batch job; one that cannot be read says nothing. */
export async function isBatchJob(file: string): Promise<boolean> {
  try {
    const [document] = readDocuments(await readText(file));
    return (document?.value as { readonly kind?: unknown } | null)?.kind === 'BatchJob';
  } catch (error) {
    // Whoever loads it tells what is wrong with it.
    if (error instanceof DefinitionError || error instanceof RunnelError) return false;
    throw error;
  }
}

/** Throws `DefinitionError` with every issue; `usage` when the file cannot be read. */
export async function loadBatchJob(file: string): Promise<LoadedBatchJob> {
  const parsed = parseJob(await readText(file), { file });
  const { job } = parsed;
  if (job.kind === 'BatchJob') return { file, parsed, job };
  throw new RunnelError('usage', `${file}: this is a stream job, where a batch job is needed`);
}

/** Over the job's defaults. `layer` says where they are given: `--param`, `test`. */
export function batchParameters(
  { job }: LoadedBatchJob,
  given: Readonly<Record<string, unknown>>,
  layer: string,
): LayeredParameters {
  const layered = effectiveParametersOf(job.parameters, [{ name: layer, values: given }]);
  if (layered.issues.length === 0) return layered;
  const known = Object.keys(job.parameters).join(', ') || 'none';
  throw new DefinitionError(
    layered.issues.map((issue) => ({
      ...issue,
      hint: issue.hint ?? `parameters of the job: ${known}`,
    })),
  );
}
