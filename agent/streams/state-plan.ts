/**
 * What a new version of a job does with the state of the version before (DESIGN.md §6.2): a step
 * keeps its state when id, state version and fingerprint are the same. Steps that are new begin
 * empty, steps that are gone lose theirs. A step that is still there with another version or
 * fingerprint is incompatible, and the job says what then: fail, reset, or replay.
 */
import type { StepRecord } from './job-record.ts';
import type { RunnableStep } from './runnable-job.ts';

export interface StatePlan {
  /** Steps of the old slot whose state is copied; they keep their index. */
  readonly kept: readonly StepRecord[];
  /** Ids of steps whose state cannot be kept. */
  readonly incompatible: readonly string[];
}

export function planState(old: readonly StepRecord[], steps: readonly RunnableStep[]): StatePlan {
  const kept: StepRecord[] = [];
  const incompatible: string[] = [];
  for (const stored of old) {
    const step = steps.find(({ id }) => id === stored.id);
    if (step === undefined) continue;
    const same =
      step.stateVersion === stored.version && step.stateFingerprint === stored.fingerprint;
    if (same) kept.push(stored);
    else incompatible.push(stored.id);
  }
  return { kept, incompatible };
}
