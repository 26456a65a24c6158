/**
 * A stream job as everything but the parser sees it: checked, with defaults, durations in
 * milliseconds, and every reference between its parts resolved to a name that exists.
 */
import { z } from 'zod';
import { type JobName, NAME } from '../ids.ts';
import { labels, type Labels } from '../protocol/enrolment.ts';
import type { Json } from '../engine/record.ts';
import { type ParameterDefinition, parametersField } from './parameters.ts';
import type { Path } from './path.ts';
import { type Placement, placementField } from './placement.ts';
import { type Rollout, rolloutField } from './rollout.ts';
import { type Sla, slaField } from './sla.ts';
import type { SinkDefinition } from './sinks/registry.ts';
import type { SourceDefinition } from './sources/registry.ts';
import { strict, withHint } from './strict.ts';
import { priorityField, ROW_PRIORITY } from './priority.ts';

export const API_VERSION = 'runnel/v1';

/** The output of late records, of every step; no step or source can be called so. */
export const LATE = 'late';

export interface StepDefinition {
  readonly id: string;
  /** Aliases of sources, ids of earlier steps, or `late`. Never empty. */
  readonly from: readonly string[];
  readonly operator: string;
  /** The operator's own keys, parsed by its schema. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Where it is in the document. */
  readonly path: Path;
}

export interface StreamJob {
  readonly kind: 'StreamJob';
  readonly name: JobName;
  readonly description: string;
  readonly labels: Labels;
  readonly parameters: Readonly<Record<string, ParameterDefinition>>;
  readonly placement: Placement | null;
  readonly rollout: Rollout | null;
  readonly sla: readonly Sla[];
  readonly priority: number;
  readonly sources: Readonly<Record<string, SourceDefinition>>;
  /** In the order of the document; a step's inputs come before it. */
  readonly steps: readonly StepDefinition[];
  readonly sinks: readonly SinkDefinition[];
  readonly onIncompatibleState: 'reset' | 'replay' | 'fail';
  readonly onLag: 'skip' | 'block';
  /** The document as it was written, defaults not filled in. */
  readonly document: Json;
}

export const name = z.string().regex(NAME, {
  error: withHint(
    'is no name',
    'small letters, digits and dashes, at most 63, beginning and ending with a letter or digit',
  ),
});

export const metadataField = strict({
  name: name.describe('Name of the job, unique at the control plane. Example: `bearing-health`.'),
  labels: labels.prefault({}).describe('For people and filters. Example: `{ team: maintenance }`.'),
  description: z.string().max(2000).default('').describe('What the job is for.'),
});

/** Keys of a stream job beside `sources`, `steps` and `sinks`, which are parsed part by part. */
export const streamJobFields = {
  apiVersion: z.literal(API_VERSION).describe('Version of the format.'),
  kind: z.literal('StreamJob').describe('Kind of the document.'),
  metadata: metadataField.describe('Name and labels of the job.'),
  parameters: parametersField.prefault({}),
  placement: placementField.optional(),
  rollout: rolloutField.optional(),
  sla: slaField.prefault([]),
  priority: priorityField.describe(`Not of its alerts, which always go first: ${ROW_PRIORITY}`),
  onIncompatibleState: z
    .enum(['fail', 'replay', 'reset'])
    .default('fail')
    .describe(
      'What a new version does with state that it cannot read: fail (the old version goes on), ' +
        'rebuild it from the journal, or begin anew.',
    ),
  onLag: z
    .enum(['skip', 'block'])
    .default('skip')
    .describe(
      'What happens when the journal is full of records that the job has not processed: they are ' +
        'skipped and counted, or ingestion waits.',
    ),
};
