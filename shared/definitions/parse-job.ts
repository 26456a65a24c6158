/**
 * The way into a job document: from text (YAML or JSON), or from JSON that was parsed already.
 *
 * All issues are collected and thrown as one `DefinitionError`, each with path, message, often a
 * hint, and where they are known line and column. What is returned is checked but for the
 * expressions of its steps, which the engine compiles with the parameters of a device.
 */
import type { Json } from '../engine/record.ts';
import { DefinitionError, type DefinitionIssue } from '../errors.ts';
import type { BatchJob } from './batch-job.ts';
import { readJobKind } from './job-kind.ts';
import { parseBatchJob } from './parse-batch-job.ts';
import { notStreamJob, parseStreamJob } from './parse-stream-job.ts';
import type { Path } from './path.ts';
import type { StreamJob } from './stream-job.ts';
import { type Position, readDocuments, type TextDocument, withLocations } from './yaml-document.ts';

/** Discriminated by `kind`. */
export type AnyJob = StreamJob | BatchJob;

export interface ParsedJob {
  readonly job: AnyJob;
  /** The document as parsed JSON, defaults not filled in: what versions and hashes are made of. */
  readonly document: Json;
  /** Its own text, without the other documents of a file. */
  readonly text: string;
  /** Line of the file at which `text` begins, from 1. */
  readonly firstLine: number;
  /** Line and column in the file, for issues that are found later. */
  locate(path: Path): Position | undefined;
}

export interface ParseOptions {
  /** Name of the file, for the issues. */
  readonly file?: string;
}

/** One job. Throws `DefinitionError`. */
export function parseJob(text: string, options: ParseOptions = {}): ParsedJob {
  return inFile(options.file, () => onlyJob(readDocuments(text)));
}

function onlyJob(documents: readonly TextDocument[]): ParsedJob {
  const [first] = documents;
  if (first === undefined) {
    throw new DefinitionError([{ path: '(document)', message: 'is empty: a job is needed' }]);
  }
  if (documents.length > 1) {
    throw new DefinitionError([
      {
        path: '(document)',
        message: `holds ${documents.length} documents, where one job is needed`,
        line: documents[1]?.firstLine ?? 1,
        column: 1,
      },
    ]);
  }
  return parsed(first);
}

/** Every job of a YAML stream, `---` between them. The issues of all are collected. */
export function parseJobs(text: string, options: ParseOptions = {}): ParsedJob[] {
  return inFile(options.file, () => {
    const issues: DefinitionIssue[] = [];
    const jobs: ParsedJob[] = [];
    for (const document of readDocuments(text)) {
      try {
        jobs.push(parsed(document));
      } catch (error) {
        if (!(error instanceof DefinitionError)) throw error;
        issues.push(...error.issues);
      }
    }
    if (issues.length > 0) throw new DefinitionError(issues);
    return jobs;
  });
}

function inFile<T>(file: string | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (file === undefined || !(error instanceof DefinitionError)) throw error;
    throw new DefinitionError(error.issues.map((issue) => ({ ...issue, file })));
  }
}

/** A document that came as JSON: of a request, or of desired state. Throws `DefinitionError`. */
export function parseJobDocument(document: unknown): AnyJob {
  const issues: DefinitionIssue[] = [];
  const job = parseAnyJob(document, issues);
  if (job === undefined || issues.length > 0) throw new DefinitionError(issues);
  return job;
}

/** For what runs stream jobs alone. Throws `DefinitionError`. */
export function streamJobOf(job: AnyJob): StreamJob {
  if (job.kind === 'StreamJob') return job;
  throw notStreamJob();
}

function parsed(document: TextDocument): ParsedJob {
  const { value, text, firstLine } = document;
  const locate = (path: Path): Position | undefined => document.locate(path);
  try {
    return { job: parseJobDocument(value), document: value, text, firstLine, locate };
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    throw new DefinitionError(withLocations(error.issues, locate));
  }
}

function parseAnyJob(document: unknown, issues: DefinitionIssue[]): AnyJob | undefined {
  const known = readJobKind(document, issues);
  if (known === undefined) return undefined;
  const { kind, record } = known;
  return kind === 'BatchJob' ? parseBatchJob(record, issues) : parseStreamJob(record, issues);
}
