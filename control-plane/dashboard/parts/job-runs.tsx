/** The grid of a job's runs with what stands around it: loading, none yet, older ones. */
import type { JSX } from 'preact';
import type { TaskState } from '@runnel/shared/protocol/runs.ts';
import { plural } from '../format/amount.ts';
import type { RunFilter } from '../runs/run-list.ts';
import { taskLook } from '../runs/run-look.ts';
import type { TaskNeeds } from '../runs/task-order.ts';
import { useJobRuns } from '../runs/use-job-runs.ts';
import { EmptyNote, ErrorNote, Loading } from './panel.tsx';
import { RunsGrid } from './runs-grid.tsx';
import { Mark } from './state-mark.tsx';

export function JobRuns({
  job,
  filter,
  document,
  limit,
  onAll,
}: {
  job: string;
  filter: RunFilter;
  document: readonly TaskNeeds[];
  limit: number;
  /** Given where runs are filtered: shows them all. */
  onAll?: () => void;
}): JSX.Element {
  const runs = useJobRuns(job, filter, limit);
  if (runs.status === 'loading') return <Loading what="runs" />;
  if (runs.status === 'failed') return <ErrorNote error={runs.error} retry={runs.reload} />;
  const { items, loadOlder, olderBusy, olderError } = runs.value;
  const filtered = filter.agent !== null || filter.state !== null;
  if (items.length === 0 && loadOlder === null) {
    return filtered && onAll !== undefined ? (
      <EmptyNote>
        No run matches.{' '}
        <button type="button" class="link" onClick={onAll}>
          Show all
        </button>
      </EmptyNote>
    ) : (
      <EmptyNote>No runs yet. The first shows up here by itself when it is queued.</EmptyNote>
    );
  }
  return (
    <>
      <div class="grid-head">
        <span role="status">{plural(items.length, 'run')} shown, the newest at the right</span>
        {loadOlder === null ? null : (
          <button type="button" class="button small" disabled={olderBusy} onClick={loadOlder}>
            {olderBusy ? 'Loading…' : 'Load older'}
          </button>
        )}
      </div>
      {olderError === null ? null : <ErrorNote error={olderError} />}
      <RunsGrid job={job} runs={items} document={document} />
      <Legend />
    </>
  );
}

const LEGEND: readonly TaskState[] = [
  'success',
  'failed',
  'upstream_failed',
  'running',
  'ready',
  'waiting',
  'skipped',
  'cancelled',
];

function Legend(): JSX.Element {
  return (
    <ul class="grid-legend" aria-label="What the marks mean">
      {LEGEND.map((state) => (
        <li class="state" key={state}>
          <Mark {...taskLook(state)} />
          {taskLook(state).word.toLowerCase()}
        </li>
      ))}
    </ul>
  );
}
