/** Every job: what kind, where it should run, how many devices run it, and how many cannot. */
import type { JSX } from 'preact';
import type { JobItem } from '../../http/live-messages.ts';
import { plural } from '../format/amount.ts';
import { useApp, useObservable } from '../hooks.ts';
import { JobProgress } from '../parts/job-progress.tsx';
import { Labels } from '../parts/labels.tsx';
import { EmptyNote, Loading } from '../parts/panel.tsx';
import { Ago } from '../parts/relative-time.tsx';
import { paths } from '../router.ts';

export function JobsPage(): JSX.Element {
  const fleet = useObservable(useApp().fleet);
  if (!fleet.loaded) return <Loading what="jobs" />;
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
        <div class="table-wrap">
          <table class="table jobs-table">
            <thead>
              <tr>
                <th scope="col">Job</th>
                <th scope="col">Devices</th>
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
      )}
    </div>
  );
}

function JobRow({ job }: { job: JobItem }): JSX.Element {
  return (
    <tr>
      <th scope="row">
        <a href={paths.job(job.name)}>{job.name}</a>
        <span class="sub">{job.kind === 'StreamJob' ? 'stream job' : 'batch job'}</span>
      </th>
      <td data-label="Devices">
        <JobProgress agents={job.agents} />
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

function worstFirst(a: JobItem, b: JobItem): number {
  const behind = (job: JobItem): number => job.agents.desired - job.agents.running;
  return b.agents.failed - a.agents.failed || behind(b) - behind(a) || (a.name < b.name ? -1 : 1);
}
