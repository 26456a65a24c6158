/**
 * Everything that can be known to be wrong with a job before a device has it: the document's
 * shape, its references, its expressions and their types.
 */
import { canonicalJson, contentHash } from '@runnel/shared/definitions/canonical-json.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import { sampleParameters } from '@runnel/shared/definitions/parameters.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { withLocations } from '@runnel/shared/definitions/yaml-document.ts';
import { compileStreamJob } from '@runnel/shared/engine/compile-stream-job.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';

export interface CheckedDefinition {
  readonly name: string;
  readonly kind: string;
  /** Canonical JSON of the document as it was written, defaults not filled in. */
  readonly canonical: string;
  /** SHA-256 of `canonical`, hex. */
  readonly hash: string;
}

/**
 * One document, YAML or JSON. Parameters without a default are checked with a plausible value of
 * their type. Errors: `definition_invalid` with every issue found.
 */
export function checkDefinition(text: string): CheckedDefinition {
  const parsed = parseJob(text);
  const { job, document } = parsed;
  try {
    if (job.kind === 'StreamJob') compileStreamJob(job, sampleParameters(job.parameters));
    else compileBatchJob(job, sampleParameters(job.parameters));
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    throw new DefinitionError(withLocations(error.issues, (path) => parsed.locate(path)));
  }
  return {
    name: job.name,
    kind: job.kind,
    canonical: canonicalJson(document),
    hash: contentHash(document),
  };
}
