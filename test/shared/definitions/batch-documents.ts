/** Batch jobs as documents, parsed: what becomes of them, or every mistake in them. */
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';

export const HEAD = 'apiVersion: runnel/v1\nkind: BatchJob\nmetadata: { name: x }\n';
export const TASK = 'tasks: [{ id: a, value: { value: 1 } }]\n';

export function batchJob(text: string): BatchJob {
  const { job } = parseJob(text);
  if (job.kind !== 'BatchJob') throw new Error('no batch job');
  return job;
}

export function issuesOf(text: string): readonly DefinitionIssue[] {
  try {
    parseJob(text);
  } catch (error) {
    if (error instanceof DefinitionError) return error.issues;
    throw error;
  }
  return [];
}
