/** One job: what it produces, where it runs, how it was submitted, its versions. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import type { VersionItem } from '../api/api-items.ts';
import { ApiError } from '../api/api-client.ts';
import { useApp, useLoaded, useRefresh } from '../hooks.ts';
import { AlertPanel } from '../parts/alert-panel.tsx';
import { BatchSchedule } from '../parts/batch-schedule.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { JobActions } from '../parts/job-actions.tsx';
import { JobAgents } from '../parts/job-agents.tsx';
import { JobProgress } from '../parts/job-progress.tsx';
import { JobResults } from '../parts/job-results.tsx';
import { JobRuns } from '../parts/job-runs.tsx';
import { Labels } from '../parts/labels.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from '../parts/panel.tsx';
import { Ago } from '../parts/relative-time.tsx';
import { Worded } from '../parts/state-mark.tsx';
import { paths } from '../router.ts';
import { readBatchDocument } from '../runs/batch-document.ts';
import { noRunFilter } from '../runs/run-list.ts';

export function JobPage({ name }: { name: string }): JSX.Element {
  const app = useApp();
  const job = useLoaded(`job/${name}`, () => app.api.job(name));
  useRefresh(job);
  if (job.status === 'loading') return <Loading what="the job" />;
  if (job.status === 'ready') return <Job job={job.value} reload={job.reload} />;
  if (job.error instanceof ApiError && job.error.status === 404) {
    return (
      <div class="blank">
        <h1>No such job</h1>
        <p>
          <span class="mono">{name}</span> was never submitted here, or it was deleted.
        </p>
        <a class="button" href={paths.jobs}>
          To the jobs
        </a>
      </div>
    );
  }
  return <ErrorNote error={job.error} retry={job.reload} />;
}

function Job({ job, reload }: { job: JobDetail; reload: () => void }): JSX.Element {
  const isBatch = job.kind === 'BatchJob';
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
              {isBatch ? 'Batch job' : 'Stream job'}, version {job.version}, changed{' '}
              <Ago at={job.updatedAt} />
            </span>
            {Object.keys(job.labels).length === 0 ? null : <Labels labels={job.labels} />}
          </p>
        </div>
        <JobActions job={job} onDone={reload} />
      </header>
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
          <Definition job={job} />
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
          <Versions job={job} />
        </div>
      </div>
    </div>
  );
}

const PAUSED = { shape: 'slash', tone: 'warning', word: 'Paused' } as const;
const NEWEST_RUNS = 25;

function NewestRuns({ job }: { job: JobDetail }): JSX.Element {
  const tasks = useMemo(() => readBatchDocument(job.document).tasks, [job.version]);
  return (
    <Panel title="Newest runs" actions={<a href={paths.jobRuns(job.name)}>All runs</a>}>
      <JobRuns job={job.name} filter={noRunFilter} document={tasks} limit={NEWEST_RUNS} />
    </Panel>
  );
}

function Definition({ job }: { job: JobDetail }): JSX.Element {
  return (
    <Panel
      title="Definition"
      note={`as submitted, version ${job.version}`}
      actions={<CopyButton text={job.source} label="Copy" selectId="definition" />}
    >
      <pre class="source" id="definition" tabIndex={0}>
        {job.source}
      </pre>
    </Panel>
  );
}

function Versions({ job }: { job: JobDetail }): JSX.Element {
  const app = useApp();
  const versions = useLoaded(`versions/${job.name}/${job.version}`, () =>
    app.api.jobVersions(job.name),
  );
  return (
    <Panel title="Versions">
      {versions.status === 'loading' ? <Loading what="versions" /> : null}
      {versions.status === 'failed' ? (
        <ErrorNote error={versions.error} retry={versions.reload} />
      ) : null}
      {versions.status === 'ready' ? (
        <VersionList versions={versions.value} current={job.version} />
      ) : null}
    </Panel>
  );
}

function VersionList({
  versions,
  current,
}: {
  versions: readonly VersionItem[];
  current: number;
}): JSX.Element {
  return (
    <ol class="versions">
      {[...versions]
        .sort((a, b) => b.version - a.version)
        .map((version) => (
          <li key={version.version}>
            <span class="version-number">
              {version.version}
              {version.version === current ? <span class="tag">current</span> : null}
            </span>
            <span class="mono quiet" title={version.hash}>
              {version.hash.slice(0, 10)}
            </span>
            <span class="version-when">
              <Ago at={version.createdAt} />
            </span>
            <span class="version-by">by {version.createdBy}</span>
          </li>
        ))}
    </ol>
  );
}
