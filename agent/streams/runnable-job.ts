/**
 * A job of this device, compiled: what the hosts below need to know of it. compile-job.ts makes it
 * from a desired job; the commit cycle and the job hosts know nothing of documents.
 */
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { SourceDefinition } from '@runnel/shared/definitions/sources/registry.ts';
import type { JobState } from '@runnel/shared/engine/state.ts';
import type { OutputCollector, StreamJobInstance } from '@runnel/shared/engine/stream-job.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { Codec } from '@runnel/shared/definitions/source-definition.ts';

/** Where records come from; jobs with the same id share one source. */
export interface Connector {
  /** Kind and fingerprint of its settings. */
  readonly id: string;
  readonly definition: SourceDefinition;
}

export interface RunnableSource {
  /** The job's own name for it. */
  readonly alias: string;
  readonly connector: Connector;
  readonly codec: Codec;
}

export type RunnableSink =
  | { readonly to: 'results'; readonly dataset: string; readonly urgent: boolean }
  | { readonly to: 'alerts'; readonly urgent: boolean }
  /** `definition` is plain JSON, stored with its rows, so that they can be delivered later. */
  | { readonly to: 'local'; readonly definition: SinkDefinition; readonly urgent: boolean };

export interface RunnableStep {
  readonly id: string;
  /** 0 when it keeps no state. */
  readonly stateVersion: number;
  readonly stateFingerprint: string;
}

export interface RunnableJob {
  /** Of its rows on their way to the control plane (outbox/job-lanes.ts). */
  readonly priority: number;
  readonly sources: readonly RunnableSource[];
  /** In the order of the document: outputs name them by index. */
  readonly sinks: readonly RunnableSink[];
  readonly steps: readonly RunnableStep[];
  /** What happens when the journal can no longer keep what the job has not processed. */
  readonly onLag: 'skip' | 'block';
  readonly onIncompatibleState: 'reset' | 'replay' | 'fail';
  create(state: JobState, collector: OutputCollector): StreamJobInstance;
}

/** Throws a `RunnelError` that says what is wrong with the document. */
export type CompileJob = (desired: DesiredJob) => RunnableJob;
