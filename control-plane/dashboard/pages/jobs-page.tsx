/** Every job: where it should run, how many devices run it, and how far its newest version is. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { JobItem } from '../../http/live-messages.ts';
import { plural } from '../format/amount.ts';
import { useApp, useObservable } from '../hooks.ts';
import { type JobFilter, noJobFilter, readJobFilter, writeJobFilter } from '../jobs/job-filter.ts';
import { phaseLookOf } from '../jobs/rollout-words.ts';
import { address, replaceQuery } from '../navigation.ts';
import { JOB_STATES, jobLook, jobState, rolloutLook, rolloutState } from '../overview/segments.ts';
import { Facets } from '../parts/facets.tsx';
import { icons } from '../parts/icons.tsx';
import { JobProgress } from '../parts/job-progress.tsx';
import { Labels } from '../parts/labels.tsx';
import { EmptyNote } from '../parts/panel.tsx';
import { Ago } from '../parts/relative-time.tsx';
import { Worded } from '../parts/state-mark.tsx';
import { PageLoading } from '../parts/whole-page.tsx';
import { paths } from '../router.ts';

export function JobsPage(): JSX.Element {
  const fleet = useObservable(useApp().fleet);
  const { query } = useObservable(address);
  const filter = useMemo(() => readJobFilter(query), [query]);
  if (!fleet.loaded) return <PageLoading title="Jobs" what="jobs" />;
  const jobs = [...fleet.jobs.values()].sort(worstFirst);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Jobs</h1>
          <p class="lede">{plural(jobs.length, 'job')}</p>
        </div>
      </header>
      {jobs.length === 0 ? (
        <EmptyNote>
          No jobs yet. Submit one with <code>runnel apply -f job.yaml</code>.
        </EmptyNote>
      ) : (
        <JobList
          jobs={jobs}
          filter={filter}
          onChange={(part) => replaceQuery(writeJobFilter({ ...filter, ...part }))}
        />
      )}
    </div>
  );
}

function JobList({
  jobs,
  filter,
  onChange,
}: {
  jobs: readonly JobItem[];
  filter: JobFilter;
  onChange: (part: Partial<JobFilter>) => void;
}): JSX.Element {
  const shown = jobs.filter(
    (job) =>
      (filter.state === null || jobState(job) === filter.state) &&
      (filter.rollout === null || rolloutState(job.rollout) === filter.rollout),
  );
  return (
    <>
      <Facets
        label="Filter by state"
        chosen={filter.state}
        onChoose={(state) => onChange({ state })}
        facets={JOB_STATES.map((key) => ({
          ...{ key, look: jobLook(key) },
          count: jobs.filter((job) => jobState(job) === key).length,
        }))}
      />
      {filter.rollout === null ? null : (
        <div class="filters">
          <button type="button" class="chip" onClick={() => onChange({ rollout: null })}>
            rollouts: {rolloutLook(filter.rollout).word}
            {icons.close}
          </button>
        </div>
      )}
      {shown.length === 0 ? (
        <EmptyNote>
          No job stands so.{' '}
          <button type="button" class="link" onClick={() => onChange(noJobFilter)}>
            Show all
          </button>
        </EmptyNote>
      ) : (
        <JobTable jobs={shown} />
      )}
    </>
  );
}

function JobTable({ jobs }: { jobs: readonly JobItem[] }): JSX.Element {
  return (
    <div class="table-wrap">
      <table class="table jobs-table">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Devices</th>
            <th scope="col">Rollout</th>
            <th scope="col">Where</th>
            <th scope="col">Labels</th>
            <th scope="col" class="num">
              Version
            </th>
            <th scope="col">Changed</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <JobRow key={job.name} job={job} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function JobRow({ job }: { job: JobItem }): JSX.Element {
  return (
    <tr>
      <th scope="row">
        <a href={paths.job(job.name)}>{job.name}</a>
        <span class="sub">
          {job.kind === 'StreamJob' ? 'stream job' : 'batch job'}
          {job.paused ? ', paused' : ''}
        </span>
      </th>
      <td data-label="Devices">
        <JobProgress agents={job.agents} />
      </td>
      <td data-label="Rollout">
        <RolloutCell job={job} />
      </td>
      <td data-label="Where">
        {job.selector === null ? (
          <span class="quiet">every device</span>
        ) : (
          <code>{job.selector}</code>
        )}
      </td>
      <td data-label="Labels">
        <Labels labels={job.labels} max={3} />
      </td>
      <td data-label="Version" class="num">
        {job.version}
      </td>
      <td data-label="Changed">
        <Ago at={job.updatedAt} />
      </td>
    </tr>
  );
}

function RolloutCell({ job: { name, rollout } }: { job: JobItem }): JSX.Element {
  if (rollout === null) return <span class="quiet">none yet</span>;
  const { batch, phase } = rollout;
  return (
    <a class="plain" href={paths.job(name, 'rollout')}>
      <Worded look={phaseLookOf(phase)} />
      {phase === 'succeeded' || batch.of < 2 ? null : (
        <span class="sub">
          batch {batch.n} of {batch.of}
        </span>
      )}
    </a>
  );
}

function worstFirst(a: JobItem, b: JobItem): number {
  const behind = (job: JobItem): number => job.agents.desired - job.agents.running;
  return b.agents.failed - a.agents.failed || behind(b) - behind(a) || (a.name < b.name ? -1 : 1);
}
