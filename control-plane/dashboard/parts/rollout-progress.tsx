/** How far a rollout is: all devices in one bar, and its batches one by one. */
import type { JSX } from 'preact';
import type {
  RolloutAgentItem,
  RolloutCounts,
  RolloutDeviceState,
  RolloutItem,
} from '../../http/rollout-messages.ts';
import { formatCount } from '../format/amount.ts';
import { type BatchView, batchViews } from '../jobs/rollout-batches.ts';
import { deviceLookOf } from '../jobs/rollout-words.ts';
import type { Look } from './look.ts';
import { Mark } from './state-mark.tsx';

const STATES = ['failed', 'updated', 'pending', 'unknown'] as const;

export function RolloutProgress({ counts }: { counts: RolloutCounts }): JSX.Element {
  return (
    <div class="progress rollout-progress">
      <div class="segment-bar" aria-hidden="true">
        {STATES.filter((state) => counts[state] > 0).map((state) => (
          <span
            class={`fill-${deviceLookOf(state).tone}`}
            key={state}
            style={{ flexGrow: counts[state] }}
          />
        ))}
      </div>
      <ul class="segment-counts">
        {STATES.map((state) => (
          <li key={state} data-state={state}>
            <Count state={state} count={counts[state]} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Count({ state, count }: { state: RolloutDeviceState; count: number }): JSX.Element {
  const { shape, tone, word } = deviceLookOf(state);
  return (
    <span class={count === 0 ? 'segment-count none' : 'segment-count'}>
      <Mark shape={shape} tone={count === 0 ? 'quiet' : tone} />
      <strong>{formatCount(count)}</strong> {word.toLowerCase()}
    </span>
  );
}

const BATCH_LOOKS: Readonly<Record<BatchView['state'], Look>> = {
  done: { shape: 'disc', tone: 'ok', word: 'through' },
  current: { shape: 'half', tone: 'info', word: 'now' },
  waiting: { shape: 'diamond', tone: 'warning', word: 'waits for approval' },
  next: { shape: 'dashed', tone: 'quiet', word: 'to come' },
  stopped: { shape: 'minus', tone: 'quiet', word: 'not reached' },
};

export function BatchStrip({
  rollout,
  agents,
}: {
  rollout: RolloutItem;
  agents: readonly RolloutAgentItem[];
}): JSX.Element | null {
  if (rollout.batch.of < 2) return null;
  return (
    <ol class="batches" aria-label="Batches">
      {batchViews(rollout, agents).map(({ n, state, updated, of }) => (
        <li class={`batch batch-${state}`} key={n} data-batch={n}>
          <span class="batch-head">
            <Mark {...BATCH_LOOKS[state]} />
            Batch {n}
          </span>
          <span class="batch-count">
            {formatCount(updated)} of {formatCount(of)}
          </span>
          <span class="sub">{BATCH_LOOKS[state].word}</span>
        </li>
      ))}
    </ol>
  );
}
