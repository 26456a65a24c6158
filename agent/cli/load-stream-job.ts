/** A stream job from a file, with the parameters of a command line, compiled to run here. */
import { readFile } from 'node:fs/promises';
import { effectiveParameters } from '@runnel/shared/definitions/parameters.ts';
import { type ParsedJob, parseJob, streamJobOf } from '@runnel/shared/definitions/parse-job.ts';
import { parsePath } from '@runnel/shared/definitions/path.ts';
import {
  compileStreamJob,
  type StreamJobProgram,
} from '@runnel/shared/engine/compile-stream-job.ts';
import { DefinitionError, messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { parse as parseYaml } from 'yaml';

export interface LoadedJob {
  readonly parsed: ParsedJob;
  /** Throws `DefinitionError`, with lines. */
  program(given: Readonly<Record<string, unknown>>): StreamJobProgram;
}

/** Throws `RunnelError`; a document that does not pass is a `DefinitionError`. */
export async function loadStreamJob(file: string): Promise<LoadedJob> {
  const parsed = parseJob(await readText(file), { file });
  if (parsed.job.kind === 'BatchJob') {
    throw new RunnelError('usage', `${file}: this is a batch job; only stream jobs can run here`);
  }
  return {
    parsed,
    program(given) {
      const { values, issues } = effectiveParameters(parsed.job.parameters, given);
      if (issues.length > 0) throw new DefinitionError(issues);
      try {
        return compileStreamJob(streamJobOf(parsed.job), values);
      } catch (error) {
        if (!(error instanceof DefinitionError)) throw error;
        throw new DefinitionError(
          error.issues.map((issue) => ({ ...issue, ...parsed.locate(parsePath(issue.path)) })),
        );
      }
    },
  };
}

export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new RunnelError('usage', `${file}: cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** `k=v` of a command line; the value is YAML, so that `limit=0.8` is a number. */
export function parseParameters(given: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) {
        throw new RunnelError('usage', `--param ${text} has no value`, {
          hint: 'Write --param NAME=VALUE.',
        });
      }
      return [text.slice(0, at), parseYaml(text.slice(at + 1)) as unknown];
    }),
  );
}
