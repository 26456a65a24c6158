/** The runs of one job: a grid of runs and tasks. The filter lives in the address. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import { useObservable } from '../hooks.ts';
import { address, replaceQuery } from '../navigation.ts';
import { JobRuns } from './job-runs.tsx';
import { Panel } from './panel.tsx';
import { readBatchDocument } from '../runs/batch-document.ts';
import { noRunFilter, readRunFilter, type RunFilter, writeRunFilter } from '../runs/run-list.ts';
import { RUN_STATES, runLook } from '../runs/run-look.ts';

const RUNS_A_PAGE = 50;

export function JobRunsTab({
  name,
  job,
}: {
  name: string;
  /** Null of a deleted one: its runs are still there, in the order that they tell. */
  job: JobDetail | null;
}): JSX.Element {
  const { query } = useObservable(address);
  const filter = useMemo(() => readRunFilter(query), [query]);
  const tasks = useMemo(() => readBatchDocument(job?.document).tasks, [job?.version]);
  const change = (part: Partial<RunFilter>): void =>
    replaceQuery(writeRunFilter({ ...filter, ...part }));
  return (
    <>
      <Filters filter={filter} job={job} onChange={change} />
      <Panel title="Runs and tasks">
        <JobRuns
          job={name}
          filter={filter}
          document={tasks}
          limit={RUNS_A_PAGE}
          onAll={() => change(noRunFilter)}
        />
      </Panel>
    </>
  );
}

function Filters({
  filter,
  job,
  onChange,
}: {
  filter: RunFilter;
  job: JobDetail | null;
  onChange: (part: Partial<RunFilter>) => void;
}): JSX.Element {
  const names = (job?.agents ?? []).map(({ name }) => name);
  const known = filter.agent === null || names.includes(filter.agent);
  const shown = known ? names : [...names, filter.agent ?? ''];
  return (
    <div class="filters">
      <label class="select">
        <span class="visually-hidden">Device</span>
        <select
          value={filter.agent ?? ''}
          onChange={(event) => onChange({ agent: event.currentTarget.value || null })}
        >
          <option value="">Every device</option>
          {shown.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="select">
        <span class="visually-hidden">State</span>
        <select
          value={filter.state ?? ''}
          onChange={(event) => {
            const state = RUN_STATES.find((each) => each === event.currentTarget.value);
            onChange({ state: state ?? null });
          }}
        >
          <option value="">Every state</option>
          {RUN_STATES.map((state) => (
            <option key={state} value={state}>
              {runLook(state).word}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
