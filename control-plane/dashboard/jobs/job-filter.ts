/** Which jobs the list shows, as the query of its address. Unknown words are ignored. Pure. */
import {
  JOB_STATES,
  type JobState,
  ROLLOUT_STATES,
  type RolloutState,
} from '../overview/segments.ts';

export interface JobFilter {
  readonly state: JobState | null;
  readonly rollout: RolloutState | null;
}

export const noJobFilter: JobFilter = { state: null, rollout: null };

export function readJobFilter(query: string): JobFilter {
  const params = new URLSearchParams(query);
  return {
    state: JOB_STATES.find((name) => name === params.get('state')) ?? null,
    rollout: ROLLOUT_STATES.find((name) => name === params.get('rollout')) ?? null,
  };
}

export function writeJobFilter({ state, rollout }: JobFilter): string {
  const params = new URLSearchParams({
    ...(state === null ? {} : { state }),
    ...(rollout === null ? {} : { rollout }),
  });
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
