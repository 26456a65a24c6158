/** How the newest version of a job reaches its devices: how far, what it waits for, what was. */
import type { JSX } from 'preact';
import type { RolloutAgentItem, RolloutItem } from '../../http/rollout-messages.ts';
import { ApiError } from '../api/api-client.ts';
import { plural } from '../format/amount.ts';
import { formatDuration, formatTimestamp } from '../format/time.ts';
import { useApp, useLoaded, useNow, useRefresh } from '../hooks.ts';
import { hasEnded, phaseLookOf, reasonSentence } from '../jobs/rollout-words.ts';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { Ago, Since } from './relative-time.tsx';
import { RolloutActions } from './rollout-actions.tsx';
import { RolloutAgents } from './rollout-agents.tsx';
import { BatchStrip, RolloutProgress } from './rollout-progress.tsx';
import { Worded } from './state-mark.tsx';

/** A rollout moves by the second, and its devices have no live view. */
const ACTIVE_MS = 2000;
const IDLE_MS = 10_000;

export function JobRollout({ job }: { job: string }): JSX.Element {
  const app = useApp();
  const loaded = useLoaded(`rollout/${job}`, () =>
    Promise.all([app.api.rollouts.newest(job), app.api.rollouts.agents(job)]),
  );
  const active = loaded.status === 'ready' && !hasEnded(loaded.value[0]);
  useRefresh(loaded, active ? ACTIVE_MS : IDLE_MS);
  if (loaded.status === 'loading') return <Loading what="the rollout" />;
  if (loaded.status === 'failed') {
    if (loaded.error instanceof ApiError && loaded.error.status === 404) return <None />;
    return <ErrorNote error={loaded.error} retry={loaded.reload} />;
  }
  const [rollout, agents] = loaded.value;
  return (
    <div class="columns">
      <div class="column-main">
        <Newest rollout={rollout} agents={agents} onDone={loaded.reload} />
        <Panel title="Devices" note={plural(agents.length, 'device')}>
          <RolloutAgents agents={agents} version={rollout.version} />
        </Panel>
      </div>
      <div class="column-side">
        <Earlier job={job} newest={rollout} />
      </div>
    </div>
  );
}

function None(): JSX.Element {
  return (
    <Panel title="Rollout">
      <EmptyNote>No version of this job was rolled out yet.</EmptyNote>
    </Panel>
  );
}

function Newest({
  rollout,
  agents,
  onDone,
}: {
  rollout: RolloutItem;
  agents: readonly RolloutAgentItem[];
  onDone: () => void;
}): JSX.Element {
  const { version, from, batch, startedAt, by } = rollout;
  return (
    <Panel
      title={`Version ${version}`}
      note={from === null ? 'the first one' : `after version ${from}`}
      actions={<RolloutActions rollout={rollout} onDone={onDone} />}
    >
      <p class="rollout-state" data-phase={rollout.phase} aria-live="polite">
        <Worded look={phaseLookOf(rollout.phase)} />
        <span class="quiet">
          {hasEnded(rollout) ? <Ago at={rollout.endedAt ?? rollout.since} /> : null}
          {hasEnded(rollout) ? null : <Since at={rollout.since} />}
        </span>
        {rollout.stuck ? <span class="tag alarming">needs a person</span> : null}
      </p>
      {rollout.reason === '' ? null : <p class="rollout-reason">{reasonSentence(rollout)}</p>}
      <Pause rollout={rollout} />
      <RolloutProgress counts={rollout.counts} />
      <BatchStrip rollout={rollout} agents={agents} />
      <p class="fine">
        Batch {batch.n} of {batch.of}, begun by {by} at {formatTimestamp(startedAt)}
      </p>
    </Panel>
  );
}

/** Counts down while the pause between two batches runs. */
function Pause({ rollout: { nextAt } }: { rollout: RolloutItem }): JSX.Element | null {
  const now = useNow();
  if (nextAt === null) return null;
  const left = nextAt - now;
  return (
    <p class="fine">
      {left <= 0 ? 'The pause is over.' : `The pause ends in ${formatDuration(left)}.`}
    </p>
  );
}

function Earlier({ job, newest }: { job: string; newest: RolloutItem }): JSX.Element {
  const app = useApp();
  // Read again when the newest one changes: one that ended is a part of the history.
  const history = useLoaded(`rollouts/${job}/${newest.id}/${newest.phase}`, () =>
    app.api.rollouts.history(job),
  );
  if (history.status === 'loading') return <Loading what="earlier rollouts" />;
  if (history.status === 'failed') {
    return <ErrorNote error={history.error} retry={history.reload} />;
  }
  const earlier = history.value.filter(({ id }) => id !== newest.id);
  return (
    <Panel title="Earlier rollouts">
      {earlier.length === 0 ? <EmptyNote>This is the first one.</EmptyNote> : null}
      <ol class="history">
        {earlier.map((rollout) => (
          <li key={rollout.id}>
            <span class="history-head">
              <strong>version {rollout.version}</strong>
              <Worded look={phaseLookOf(rollout.phase)} />
              <span class="quiet">
                <Ago at={rollout.endedAt ?? rollout.startedAt} />
              </span>
            </span>
            {rollout.reason === '' ? null : <span class="sub">{reasonSentence(rollout)}</span>}
          </li>
        ))}
      </ol>
    </Panel>
  );
}
