/**
 * What jobs promise, read once per version. A document that this release cannot read promises
 * nothing: that it cannot be placed is told elsewhere.
 */
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import type { Sla } from '@runnel/shared/definitions/sla.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import { type DeadlineTimes, deadlineTimes } from '@runnel/shared/sla/deadlines.ts';
import type { JobRecord } from '../store/jobs.ts';
import { datasetsOf } from '../definitions/datasets-of.ts';

export interface SlaPromise {
  readonly sla: Sla;
  /** Of a deadline that a calendar sets; null where there is none. */
  readonly deadlines: DeadlineTimes | null;
}

export interface SlaJob {
  readonly name: string;
  readonly version: number;
  readonly kind: 'StreamJob' | 'BatchJob';
  readonly promises: readonly SlaPromise[];
  /** It sends results here, so that their freshness can be seen here. */
  readonly sendsResults: boolean;
}

type Readable = Pick<JobRecord, 'name' | 'version' | 'document' | 'paused'>;

/** Null: it promises nothing, or is paused by a person. */
export function slaJob({ name, version, document, paused }: Readable): SlaJob | null {
  const promised = (document as { readonly sla?: unknown } | null)?.sla;
  if (paused || !Array.isArray(promised) || promised.length === 0) return null;
  try {
    const job = parseJobDocument(document);
    const triggers = job.kind === 'BatchJob' ? (job.schedule?.triggers ?? []) : [];
    return {
      name,
      version,
      kind: job.kind,
      sendsResults: job.kind === 'StreamJob' && datasetsOf(document).length > 0,
      promises: job.sla.map((sla) => ({
        sla,
        deadlines:
          sla.kind === 'deadline' && job.kind === 'BatchJob' ? deadlineTimes(sla, triggers) : null,
      })),
    };
  } catch (error) {
    if (error instanceof DefinitionError) return null;
    throw error;
  }
}
