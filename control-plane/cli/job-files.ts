/**
 * Job documents from files, directories and standard input, read strictly before anything is sent:
 * one wrong document means that nothing of the command happens.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJobs } from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError, type DefinitionIssue, messageOf } from '@runnel/shared/errors.ts';
import { checkDefinition } from '../definitions/check-definition.ts';
import { usageError } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

export interface JobText {
  /** As the person named it; `-` is standard input. */
  readonly file: string;
  /** Line of the file at which the text begins, from 1. */
  readonly firstLine: number;
  readonly name: string;
  readonly text: string;
  readonly hash: string;
}

const DOCUMENT = /\.(ya?ml|json)$/;
/** The tests beside a job are no jobs. */
const TEST = /\.test\.(ya?ml|json)$/;

/** Throws `DefinitionError` with every issue of every file. */
export async function readJobs(
  terminal: Terminal,
  paths: readonly string[],
): Promise<readonly JobText[]> {
  const files = (await Promise.all(paths.map((path) => filesOf(path)))).flat();
  if (files.length === 0) {
    throw usageError(`no job document in ${paths.join(', ')}`, 'files end in .yaml, .yml or .json');
  }
  const jobs: JobText[] = [];
  const issues: DefinitionIssue[] = [];
  for (const file of files) {
    const text = file === '-' ? await terminal.readInput() : await readText(file);
    try {
      jobs.push(...jobsIn(file === '-' ? '(standard input)' : file, text));
    } catch (error) {
      if (!(error instanceof DefinitionError)) throw error;
      issues.push(...error.issues);
    }
  }
  issues.push(...twice(jobs));
  if (issues.length > 0) throw new DefinitionError(issues);
  return jobs;
}

async function filesOf(path: string): Promise<string[]> {
  if (path === '-') return [path];
  const found = await stat(path).catch((error: unknown) => {
    throw usageError(`cannot read ${path}: ${messageOf(error)}`);
  });
  if (!found.isDirectory()) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => DOCUMENT.test(name) && !TEST.test(name))
    .sort()
    .map((name) => join(path, name));
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw usageError(`cannot read ${file}: ${messageOf(error)}`);
  });
}

function jobsIn(file: string, text: string): JobText[] {
  const parsed = parseJobs(text, { file });
  const [only] = parsed;
  if (only === undefined) {
    throw new DefinitionError([{ path: '(document)', message: 'holds no job', file }]);
  }
  // A file with one job is sent whole: the comments around it are kept with the version.
  const jobs =
    parsed.length === 1
      ? [{ file, firstLine: 1, name: only.job.name, text }]
      : parsed.map((each) => ({
          file,
          firstLine: each.firstLine,
          name: each.job.name,
          text: each.text,
        }));
  const issues: DefinitionIssue[] = [];
  const checked = jobs.flatMap((job) => {
    try {
      return [{ ...job, hash: checkDefinition(job.text).hash }];
    } catch (error) {
      if (!(error instanceof DefinitionError)) throw error;
      issues.push(...inFile(job, error.issues));
      return [];
    }
  });
  if (issues.length > 0) throw new DefinitionError(issues);
  return checked;
}

/** Issues of a part of a file, with the file's name and its own lines. */
export function inFile(
  job: Pick<JobText, 'file' | 'firstLine'>,
  issues: readonly DefinitionIssue[],
): DefinitionIssue[] {
  return issues.map((issue) => ({
    ...issue,
    file: job.file,
    ...(issue.line === undefined ? {} : { line: issue.line + job.firstLine - 1 }),
  }));
}

function twice(jobs: readonly JobText[]): DefinitionIssue[] {
  return jobs.flatMap((job, index) => {
    const first = jobs.findIndex((other) => other.name === job.name);
    if (first === index) return [];
    const message = `"${job.name}" is also in ${jobs[first]?.file ?? 'another file'}`;
    return [{ path: 'metadata.name', message, file: job.file, line: job.firstLine, column: 1 }];
  });
}

/** `job.yaml:12:5: steps[1].filter: unknown key "x" (did you mean "y"?)`. */
export function issueLine(issue: DefinitionIssue): string {
  const place = [issue.file, issue.line, issue.column].filter((part) => part !== undefined);
  const where = place.length === 0 ? '' : `${place.join(':')}: `;
  const hint = issue.hint === undefined ? '' : ` (${issue.hint})`;
  return `${where}${issue.path}: ${issue.message}${hint}`;
}
