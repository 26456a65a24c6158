/** `--input SOURCE=FILE` of a batch job: whose records fill the journal, and what is not given. */
import type { Readable } from 'node:stream';
import { batchFacts } from '@runnel/shared/definitions/check-tasks.ts';
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import { NAME } from '@runnel/shared/ids.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { nearest } from '@runnel/shared/expressions/suggest.ts';
import type { DryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import { readEntries } from '../input-lines.ts';

export interface InputFile {
  readonly source: string;
  readonly chunks: AsyncIterable<readonly DryRunEntry[]>;
}

/** Sources that the job declares or reads the journal of. */
export function sourcesOf(job: BatchJob): readonly string[] {
  return [...new Set([...Object.keys(job.sources), ...batchFacts(job).journals])];
}

/** Throws `usage` for what is no `SOURCE=FILE`, and for a source that the job does not know. */
export function inputFiles(
  given: readonly string[],
  job: BatchJob,
  stdin: Readable,
): readonly InputFile[] {
  const known = sourcesOf(job);
  const hint =
    known.length === 0
      ? 'No task of the job reads a journal: leave --input out.'
      : `Sources whose journal the job reads: ${known.join(', ')}.`;
  if (given.filter((text) => text.endsWith('=-')).length > 1) {
    throw new RunnelError('usage', 'standard input can be the input of one source only');
  }
  return given.map((text) => {
    const at = text.indexOf('=');
    const source = text.slice(0, Math.max(at, 0));
    const path = text.slice(at + 1);
    if (at < 1 || path === '') {
      throw new RunnelError('usage', `--input ${text} is not SOURCE=FILE`, { hint });
    }
    if (!known.includes(source)) {
      const near = nearest(source, known);
      const meant = near === undefined ? hint : `Did you mean "${near}"? ${hint}`;
      throw new RunnelError('usage', `the job reads no source "${source}"`, { hint: meant });
    }
    if (!source.split('/').every((name) => NAME.test(name))) {
      throw new RunnelError('usage', `"${source}" is no name of a source`, { hint });
    }
    return { source, chunks: readEntries(path, stdin) };
  });
}

/** What a person should know: journals that are empty in this run. */
export function missingInputs(job: BatchJob, inputs: readonly InputFile[]): readonly string[] {
  const given = new Set(inputs.map(({ source }) => source));
  return batchFacts(job).journals.filter((source) => !given.has(source));
}
