/** Which kind of job a document holds, before anything else of it is read. */
import { z } from 'zod';
import type { DefinitionIssue } from '../errors.ts';
import { suggestion } from '../expressions/suggest.ts';
import { API_VERSION } from './stream-job.ts';
import { issueAt, parseAt } from './strict.ts';

const KINDS = ['StreamJob', 'BatchJob'] as const;
export type JobKind = (typeof KINDS)[number];

export interface KnownJob {
  readonly kind: JobKind;
  readonly record: Readonly<Record<string, unknown>>;
}

/** Undefined when it is none that this release reads; what is wrong is added to `issues`. */
export function readJobKind(document: unknown, issues: DefinitionIssue[]): KnownJob | undefined {
  const record = parseAt(z.record(z.string(), z.unknown()), document, [], issues);
  if (record === undefined) return undefined;
  const { apiVersion, kind } = record;
  if (typeof apiVersion === 'string' && apiVersion !== API_VERSION) {
    const newer = apiVersion.startsWith('runnel/');
    issues.push(
      issueAt(
        ['apiVersion'],
        `"${apiVersion}" is not known`,
        newer ? `this release reads ${API_VERSION}` : `write apiVersion: ${API_VERSION}`,
      ),
    );
    return undefined;
  }
  if (kind === 'StreamJob' || kind === 'BatchJob') return { kind, record };
  issues.push(
    typeof kind === 'string'
      ? issueAt(['kind'], `"${kind}" is no kind of job`, suggestion(kind, [...KINDS]))
      : issueAt(['kind'], `is missing: ${KINDS.join(' or ')}`),
  );
  return undefined;
}
