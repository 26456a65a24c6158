/**
 * Everything that can be known to be wrong with a job before a device has it: the document's
 * shape, its references, its expressions and their types.
 */
import { canonicalJson, contentHash } from '@runnel/shared/definitions/canonical-json.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';

export interface CheckedDefinition {
  readonly name: string;
  readonly kind: string;
  /** Canonical JSON of the document as it was written, defaults not filled in. */
  readonly canonical: string;
  /** SHA-256 of `canonical`, hex. */
  readonly hash: string;
}

/** One document, YAML or JSON. Errors: `definition_invalid` with every issue found. */
export function checkDefinition(text: string): CheckedDefinition {
  const { job, document } = parseJob(text);
  return {
    name: job.name,
    kind: job.kind,
    canonical: canonicalJson(document),
    hash: contentHash(document),
  };
}
