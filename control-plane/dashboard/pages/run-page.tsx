/** One run: what became of it and why, its tasks over time, what they gave, its log. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { RunDetail } from '../../http/run-messages.ts';
import { plural } from '../format/amount.ts';
import { formatDuration, formatTimestamp } from '../format/time.ts';
import { useApp, useLoaded, useNow, useObservable, useRefresh } from '../hooks.ts';
import { address, replaceQuery } from '../navigation.ts';
import { Ago } from '../parts/relative-time.tsx';
import { RunActions } from '../parts/run-actions.tsx';
import { RunFacts } from '../parts/run-facts.tsx';
import { RunLog } from '../parts/run-log.tsx';
import { RunTasks } from '../parts/run-tasks.tsx';
import { Mark, Worded } from '../parts/state-mark.tsx';
import { isNotThere, NotThere, PageFailure, PageLoading } from '../parts/whole-page.tsx';
import { paths } from '../router.ts';
import { runDurationMs } from '../runs/run-grid.ts';
import { lookOfRun, triggerWords } from '../runs/run-look.ts';

/** A run that was just asked for is not known here until its device has reported it. */
const AGAIN_MS = 2000;

export function RunPage({ id }: { id: string }): JSX.Element {
  const app = useApp();
  const { query } = useObservable(address);
  const of = new URLSearchParams(query).get('agent');
  const loaded = useLoaded(`run/${id}/${of ?? ''}`, () => app.api.runs.one(id, of));
  const [live, setLive] = useState<RunDetail | null>(null);
  // The address may carry the beginning of an id; the live view is asked for by the whole.
  const { run, agent } = loaded.status === 'ready' ? loaded.value : { run: null, agent: null };
  useEffect(
    () => (run === null || agent === null ? undefined : app.followRun(run, agent, setLive)),
    [app, run, agent],
  );
  if (loaded.status === 'loading') return <PageLoading title="Run" what="the run" />;
  if (loaded.status === 'ready') return <Run run={live ?? loaded.value} />;
  if (isNotThere(loaded.error)) return <NotYet id={id} loaded={loaded} />;
  return <PageFailure title="Run" error={loaded.error} retry={loaded.reload} wayOn={TO_THE_JOBS} />;
}

const TO_THE_JOBS = { href: paths.jobs, word: 'To the jobs' };

function NotYet({
  id,
  loaded,
}: {
  id: string;
  loaded: { status: 'failed'; error: Error; reload: () => void };
}): JSX.Element {
  useRefresh(loaded, AGAIN_MS);
  return (
    <NotThere heading="No such run here" name={id} wayOn={TO_THE_JOBS}>
      is not known. A run that was just started shows up by itself when its device reports it; an
      old one may have been removed.
    </NotThere>
  );
}

function Run({ run }: { run: RunDetail }): JSX.Element {
  const { query } = useObservable(address);
  const task = new URLSearchParams(query).get('task');
  const choose = (next: string | null): void => {
    const fields = new URLSearchParams(query);
    if (next === null) fields.delete('task');
    else fields.set('task', next);
    const text = fields.toString();
    replaceQuery(text === '' ? '' : `?${text}`);
  };
  const tasks = run.tasks.map(({ id }) => id);
  const chosen = task !== null && tasks.includes(task) ? task : null;
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Where this is">
        <a href={paths.jobRuns(run.job)}>Runs of {run.job}</a>
      </nav>
      <header class="page-head device-head">
        <div>
          <h1>{run.partition}</h1>
          <p class="lede">
            <Worded look={lookOfRun(run)} />
            <span>
              <a href={paths.job(run.job)}>{run.job}</a> version {run.version} on{' '}
              <a href={paths.device(run.agent)}>{run.agentName}</a>
            </span>
            <span>{triggerWords(run.trigger)}</span>
            <When run={run} />
          </p>
        </div>
        <RunActions run={run} task={null} />
      </header>
      <Failure run={run} />
      <div class="columns">
        <div class="column-main">
          <RunTasks run={run} chosen={chosen} onChoose={choose} />
          <RunLog run={run} task={chosen} tasks={tasks} onTask={choose} />
        </div>
        <div class="column-side">
          <RunFacts run={run} />
        </div>
      </div>
    </div>
  );
}

function When({ run }: { run: RunDetail }): JSX.Element {
  const now = useNow();
  const ms = runDurationMs(run, now);
  if (ms === null) {
    return (
      <span>
        queued <Ago at={run.queuedAt} />
      </span>
    );
  }
  return (
    <span title={run.startedAt === null ? undefined : formatTimestamp(run.startedAt)}>
      {run.endedAt === null ? 'for ' : 'took '}
      {formatDuration(ms)}
      {run.endedAt === null ? null : (
        <>
          , ended <Ago at={run.endedAt} />
        </>
      )}
    </span>
  );
}

const AFFECTED_SHOWN = 12;

/** The cause, and who did not run because of it. */
function Failure({ run }: { run: RunDetail }): JSX.Element | null {
  const { error, affected } = run;
  if (error === null && affected.tasks.length + affected.jobs.length === 0) return null;
  const rest = affected.tasks.length - AFFECTED_SHOWN;
  const calm = run.state === 'cancelled' || run.state === 'queued' || run.state === 'running';
  return (
    <div class={calm ? 'failure calm' : 'failure'} role={calm ? undefined : 'alert'}>
      {error === null ? null : (
        <p>
          <Mark {...lookOfRun(run)} />
          <span>
            {error.message} <span class="quiet mono">{error.class}</span>
          </span>
        </p>
      )}
      {affected.tasks.length === 0 ? null : (
        <p class="fine">
          Did not run because of it: {affected.tasks.slice(0, AFFECTED_SHOWN).join(', ')}
          {rest > 0 ? ` and ${plural(rest, 'more task')}` : ''}
        </p>
      )}
      {affected.jobs.length === 0 ? null : (
        <p class="fine">
          Jobs that wait for its datasets:{' '}
          {affected.jobs.map((job, index) => (
            <span key={job}>
              {index === 0 ? '' : ', '}
              <a href={paths.job(job)}>{job}</a>
            </span>
          ))}
        </p>
      )}
    </div>
  );
}
