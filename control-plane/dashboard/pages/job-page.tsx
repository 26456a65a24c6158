/** One job, in parts: what it produces and where it runs, its rollout, its versions, its SLAs. */
import { NAME } from '@runnel/shared/ids.ts';
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import { useApp, useLoaded, useRefresh } from '../hooks.ts';
import { AlertPanel } from '../parts/alert-panel.tsx';
import { BatchSchedule } from '../parts/batch-schedule.tsx';
import { JobActions } from '../parts/job-actions.tsx';
import { JobAgents } from '../parts/job-agents.tsx';
import { JobParameters } from '../parts/job-parameters.tsx';
import { JobProgress } from '../parts/job-progress.tsx';
import { JobResults } from '../parts/job-results.tsx';
import { JobRollout } from '../parts/job-rollout.tsx';
import { JobRuns } from '../parts/job-runs.tsx';
import { JobRunsTab } from '../parts/job-runs-tab.tsx';
import { JobSlas } from '../parts/job-slas.tsx';
import { JobVersions } from '../parts/job-versions.tsx';
import { Labels } from '../parts/labels.tsx';
import { EmptyNote, Panel } from '../parts/panel.tsx';
import { Ago } from '../parts/relative-time.tsx';
import { Worded } from '../parts/state-mark.tsx';
import { type Tab, Tabs } from '../parts/tabs.tsx';
import { isNotThere, NotThere, PageFailure, PageLoading } from '../parts/whole-page.tsx';
import { type JobTab, paths } from '../router.ts';
import { readBatchDocument } from '../runs/batch-document.ts';
import { noRunFilter } from '../runs/run-list.ts';

export function JobPage({ name, tab }: { name: string; tab: JobTab }): JSX.Element {
  const app = useApp();
  const job = useLoaded(`job/${name}`, () => app.api.job(name));
  useRefresh(job);
  if (job.status === 'loading') return <PageLoading title={name} what="the job" />;
  if (job.status === 'ready') return <Job job={job.value} tab={tab} reload={job.reload} />;
  const wayOn = { href: paths.jobs, word: 'To the jobs' };
  if (!isNotThere(job.error)) {
    return <PageFailure title={name} error={job.error} retry={job.reload} wayOn={wayOn} />;
  }
  if (tab === 'runs' && NAME.test(name)) return <RunsOfDeleted name={name} />;
  return (
    <NotThere heading="No such job" name={name} wayOn={wayOn}>
      was never submitted here, or it was deleted.
    </NotThere>
  );
}

function RunsOfDeleted({ name }: { name: string }): JSX.Element {
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Where this is">
        <a href={paths.jobs}>Jobs</a>
      </nav>
      <header class="page-head">
        <div>
          <h1>Runs of {name}</h1>
          <p class="lede">The job itself is not here any more.</p>
        </div>
      </header>
      <JobRunsTab name={name} job={null} />
    </div>
  );
}

function Job({
  job,
  tab,
  reload,
}: {
  job: JobDetail;
  tab: JobTab;
  reload: () => void;
}): JSX.Element {
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Where this is">
        <a href={paths.jobs}>Jobs</a>
      </nav>
      <header class="page-head device-head">
        <div>
          <h1>{job.name}</h1>
          <p class="lede">
            {job.paused ? <Worded look={PAUSED} /> : null}
            <span>
              {KINDS[job.kind] ?? job.kind}, version {job.version}, changed{' '}
              <Ago at={job.updatedAt} />
            </span>
            {Object.keys(job.labels).length === 0 ? null : <Labels labels={job.labels} />}
          </p>
        </div>
        <JobActions job={job} onDone={reload} />
      </header>
      <Tabs label={`Parts of ${job.name}`} tabs={tabsOf(job)} current={tab} />
      <TabBody job={job} tab={tab} />
    </div>
  );
}

const KINDS: Readonly<Record<string, string>> = { BatchJob: 'Batch job', StreamJob: 'Stream job' };
const PAUSED = { shape: 'slash', tone: 'warning', word: 'Paused' } as const;

function tabsOf({ name, kind }: JobDetail): Tab[] {
  const tab = (key: JobTab, word: string): Tab => ({ key, word, href: paths.job(name, key) });
  return [
    tab('results', 'Results'),
    ...(kind === 'BatchJob' ? [tab('runs', 'Runs')] : []),
    tab('rollout', 'Rollout'),
    tab('versions', 'Versions'),
    tab('parameters', 'Parameters'),
    tab('slas', 'SLAs'),
  ];
}

function TabBody({ job, tab }: { job: JobDetail; tab: JobTab }): JSX.Element {
  switch (tab) {
    case 'results':
      return <Results job={job} />;
    case 'runs':
      return <JobRunsTab name={job.name} job={job} />;
    case 'rollout':
      return <JobRollout job={job.name} />;
    case 'versions':
      return <JobVersions job={job} />;
    case 'parameters':
      return <JobParameters job={job} />;
    case 'slas':
      return <JobSlas job={job.name} />;
  }
}

function Results({ job }: { job: JobDetail }): JSX.Element {
  const isBatch = job.kind === 'BatchJob';
  return (
    <div class="columns">
      <div class="column-main">
        <AlertPanel of={{ job: job.name }} />
        {isBatch ? <NewestRuns job={job} /> : null}
        {isBatch ? <BatchSchedule job={job} /> : null}
        {job.datasets.length === 0 && !isBatch ? (
          <Panel title="Results">
            <EmptyNote>
              This job keeps its results on the devices: none of its sinks writes a dataset.
            </EmptyNote>
          </Panel>
        ) : (
          job.datasets.map((dataset) => <JobResults key={dataset} dataset={dataset} />)
        )}
      </div>
      <div class="column-side">
        <Panel title="Where it runs">
          <JobProgress agents={job.counts} />
          <p class="selector">
            {job.selector === null ? (
              'Placed on every device.'
            ) : (
              <>
                Placed where <code>{job.selector}</code>
              </>
            )}
          </p>
          <JobAgents agents={job.agents} />
        </Panel>
      </div>
    </div>
  );
}

const NEWEST_RUNS = 25;

function NewestRuns({ job }: { job: JobDetail }): JSX.Element {
  const tasks = useMemo(() => readBatchDocument(job.document).tasks, [job.version]);
  return (
    <Panel title="Newest runs" actions={<a href={paths.jobRuns(job.name)}>All runs</a>}>
      <JobRuns job={job.name} filter={noRunFilter} document={tasks} limit={NEWEST_RUNS} />
    </Panel>
  );
}
