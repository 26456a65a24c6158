/** Rollouts in words and shapes: what each phase is, what a person has to do and may. Pure. */
import type { Severity } from '../../http/live-messages.ts';
import type { RolloutDeviceState, RolloutItem, RolloutPhase } from '../../http/rollout-messages.ts';
import type { RolloutAction } from '../api/rollouts-api.ts';
import type { Look } from '../parts/look.ts';

const PHASES: Readonly<Record<RolloutPhase, Look>> = {
  progressing: { shape: 'half', tone: 'info', word: 'Progressing' },
  soaking: { shape: 'half', tone: 'info', word: 'Pausing' },
  awaitingApproval: { shape: 'diamond', tone: 'warning', word: 'Waits for approval' },
  suspended: { shape: 'slash', tone: 'warning', word: 'Suspended' },
  rollingBack: { shape: 'triangle', tone: 'warning', word: 'Rolling back' },
  succeeded: { shape: 'disc', tone: 'ok', word: 'Succeeded' },
  rolledBack: { shape: 'square', tone: 'error', word: 'Rolled back' },
  aborted: { shape: 'minus', tone: 'quiet', word: 'Aborted' },
  superseded: { shape: 'minus', tone: 'quiet', word: 'Superseded' },
};

const DEVICE_STATES: Readonly<Record<RolloutDeviceState, Look>> = {
  failed: { shape: 'square', tone: 'error', word: 'Failed' },
  updating: { shape: 'half', tone: 'info', word: 'Updating' },
  pending: { shape: 'ring', tone: 'info', word: 'Pending' },
  unknown: { shape: 'dashed', tone: 'quiet', word: 'Unknown' },
  updated: { shape: 'disc', tone: 'ok', word: 'Updated' },
};

const ENDED: readonly RolloutPhase[] = ['succeeded', 'rolledBack', 'aborted', 'superseded'];

export function phaseLookOf(phase: RolloutPhase): Look {
  return PHASES[phase];
}

export function deviceLookOf(state: RolloutDeviceState): Look {
  return DEVICE_STATES[state];
}

/** A reason begins as in a terminal; on a page it is a sentence. */
export function reasonSentence({ reason, job }: Pick<RolloutItem, 'job' | 'reason'>): string {
  // A name stays as it is written.
  return reason.startsWith(job) ? reason : reason.charAt(0).toUpperCase() + reason.slice(1);
}

export function hasEnded({ phase }: Pick<RolloutItem, 'phase'>): boolean {
  return ENDED.includes(phase);
}

interface RolloutTrouble {
  readonly kind: 'rollout' | 'approval';
  readonly severity: Exclude<Severity, 'ok'>;
  readonly what: string;
  readonly act: string;
}

/** What of it needs a person; null: nothing does. */
export function rolloutTrouble(rollout: RolloutItem): RolloutTrouble | null {
  const { job, version, phase, batch } = rollout;
  const name = `${job} version ${version}`;
  switch (phase) {
    case 'awaitingApproval': {
      const what = `${name}: batch ${batch.n + 1} of ${batch.of} waits for approval`;
      return { kind: 'approval', severity: 'warning', what, act: 'Decide' };
    }
    case 'suspended':
      return trouble('warning', `The rollout of ${name} is suspended`, 'Decide');
    case 'rollingBack':
      return trouble('error', `${name} is being rolled back`, 'See the rollout');
    case 'rolledBack':
      return trouble('error', `${name} was rolled back`, 'See the rollout');
    case 'progressing':
    case 'soaking':
      if (!rollout.stuck) return null;
      return trouble('error', `The rollout of ${name} does not get on`, 'See the rollout');
    case 'aborted':
      return trouble('info', `The rollout of ${name} was aborted`, 'See the rollout');
    case 'succeeded':
    case 'superseded':
      return null;
  }
}

function trouble(severity: RolloutTrouble['severity'], what: string, act: string): RolloutTrouble {
  return { kind: 'rollout', severity, what, act };
}

/** What can be done with it now; the server decides in the end. */
export function rolloutActions(rollout: RolloutItem): readonly RolloutAction[] {
  switch (rollout.phase) {
    case 'progressing':
    case 'soaking':
      return ['pause', 'abort', ...undoOf(rollout)];
    case 'awaitingApproval':
      return ['approve', 'abort', ...undoOf(rollout)];
    case 'suspended':
      return ['resume', 'abort', ...undoOf(rollout)];
    case 'succeeded':
    case 'aborted':
      return undoOf(rollout);
    case 'rollingBack':
      return [];
    case 'rolledBack':
    case 'superseded':
      return [];
  }
}

/** Without a version to go back to there is nothing to undo. */
function undoOf({ from }: RolloutItem): readonly RolloutAction[] {
  return from === null ? [] : ['undo'];
}

export interface ActionWords {
  readonly button: string;
  readonly title: string;
  readonly confirm: string;
  readonly kind: 'primary' | 'danger';
  readonly consequence: string;
}

export function actionWords(action: RolloutAction, rollout: RolloutItem): ActionWords {
  const { job, version, from, batch } = rollout;
  const next = `batch ${batch.n + 1} of ${batch.of}`;
  switch (action) {
    case 'approve':
      return {
        button: 'Approve…',
        title: `Approve ${next}?`,
        confirm: `Approve ${next}`,
        kind: 'primary',
        consequence:
          `Its devices get version ${version} of ${job} at once. The gate still ` +
          'watches them, and the batch after it waits for approval again.',
      };
    case 'pause':
      return {
        button: 'Suspend…',
        title: `Suspend the rollout of ${job}?`,
        confirm: 'Suspend',
        kind: 'primary',
        consequence:
          `No further device gets version ${version} until the rollout is resumed. ` +
          'Devices that have it keep it.',
      };
    case 'resume':
      return {
        button: 'Resume…',
        title: `Resume the rollout of ${job}?`,
        confirm: 'Resume',
        kind: 'primary',
        consequence: 'It goes on where it was. Failures that its gate stopped at are accepted.',
      };
    case 'abort':
      return {
        button: 'Abort…',
        title: `Abort the rollout of ${job}?`,
        confirm: 'Abort the rollout',
        kind: 'danger',
        consequence:
          `Devices that have version ${version} keep it, all others keep what they run. ` +
          'The rollout cannot go on later.',
      };
    case 'undo':
      return {
        button: 'Undo…',
        title: `Go back to version ${from ?? ''} of ${job}?`,
        confirm: `Go back to version ${from ?? ''}`,
        kind: 'danger',
        consequence:
          `Every device goes back from version ${version} to version ${from ?? ''}, the last ` +
          'good one; those that are away when they return.',
      };
  }
}
