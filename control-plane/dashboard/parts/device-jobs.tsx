/**
 * The jobs of a device. What runs and what was last attempted stand apart: an old version that
 * works on while a new one cannot start is neither "running" nor "failed".
 */
import type { JSX } from 'preact';
import { useContext } from 'preact/hooks';
import type { AgentDetail, AgentJobDetail, AttemptedItem } from '../../http/live-messages.ts';
import type { BatchItem } from '../../http/run-messages.ts';
import { phaseWord } from '../fleet/fleet-view.ts';
import { type JobRates, ratesOf, type WorkReading } from '../fleet/work-history.ts';
import { formatCount, formatRate } from '../format/amount.ts';
import { formatDuration, formatTimestamp } from '../format/time.ts';
import { OldContext, useNow } from '../hooks.ts';
import { paths } from '../router.ts';
import { LastRun, Skipped } from './batch-schedule.tsx';
import { EmptyNote, Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';
import { Mark, phaseLook } from './state-mark.tsx';

export function DeviceJobs({
  agent,
  work,
}: {
  agent: AgentDetail;
  work: readonly WorkReading[];
}): JSX.Element {
  const { desiredRevision, observedRevision } = agent;
  const old = useContext(OldContext);
  const behind = observedRevision !== null && observedRevision < desiredRevision;
  return (
    <Panel
      title="Jobs"
      note={
        old
          ? 'as last reported'
          : behind
            ? `revision ${observedRevision} of ${desiredRevision} taken over`
            : undefined
      }
    >
      {agent.jobs.length === 0 ? (
        <EmptyNote>No job is placed on this device.</EmptyNote>
      ) : (
        <ul class="job-cards">
          {agent.jobs.map((job) => (
            <JobCard key={job.name} job={job} device={agent.name} rates={ratesOf(work, job.name)} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function JobCard({
  job,
  device,
  rates,
}: {
  job: AgentJobDetail;
  device: string;
  rates: JobRates;
}): JSX.Element {
  return (
    <li class="job-card">
      <div class="job-card-head">
        <a class="job-name" href={paths.job(job.name)}>
          {job.name}
        </a>
        <span class="state">
          <Mark {...phaseLook(job.phase)} />
          {phaseWord(job.phase)}
        </span>
        <span class="job-version">{versionWords(job)}</span>
      </div>
      {job.attempted === null ? null : <Attempt job={job} attempted={job.attempted} />}
      {job.batch === null ? (
        <StreamCounters job={job} rates={rates} />
      ) : (
        <BatchLine job={job.name} batch={job.batch} device={device} />
      )}
    </li>
  );
}

function StreamCounters({ job, rates }: { job: AgentJobDetail; rates: JobRates }): JSX.Element {
  return (
    <dl class="counters">
      <Counter name="In" value={job.recordsIn} rate={rates.in} />
      <Counter name="Out" value={job.recordsOut} rate={rates.out} />
      <Counter name="Lag" value={job.lagRecords} />
      <Watermark at={job.watermark} />
      <Counter name="Late" value={job.late} alarming={job.late > 0} />
      <Counter name="Dead letters" value={job.deadLetters} alarming={job.deadLetters > 0} />
      {Object.entries(job.deadLettersBy).map(([key, count]) => (
        <Counter key={key} name={`Dead letters: ${key}`} value={count} alarming />
      ))}
      {Object.entries(job.dropped).map(([reason, count]) => (
        <Counter key={reason} name={`Dropped: ${reason}`} value={count} alarming={count > 0} />
      ))}
      <Counter name="Keys held" value={job.stateKeys} />
    </dl>
  );
}

function BatchLine({
  job,
  batch,
  device,
}: {
  job: string;
  batch: BatchItem;
  device: string;
}): JSX.Element {
  return (
    <dl class="counters batch-line">
      <div class="counter">
        <dt>Last run</dt>
        <dd>
          <LastRun batch={batch} agent={device} />
        </dd>
      </div>
      <div class="counter">
        <dt>Next</dt>
        <dd>{batch.nextAt === null ? 'none planned' : <Ago at={batch.nextAt} />}</dd>
      </div>
      <div class="counter">
        <dt>Skipped</dt>
        <dd>
          <Skipped skipped={batch.skipped} />
        </dd>
      </div>
      <div class="counter">
        <dt>Runs</dt>
        <dd>
          <a href={paths.jobRuns(job, device)}>All runs here</a>
        </dd>
      </div>
    </dl>
  );
}

function versionWords(job: AgentJobDetail): string {
  const runs = job.version === null ? 'no version runs' : `version ${job.version}`;
  if (job.desiredVersion === null) return `${runs}, no longer wanted here`;
  return job.desiredVersion === job.version ? runs : `${runs}, wanted ${job.desiredVersion}`;
}

/** Said only when it adds something to what runs. */
function Attempt({
  job,
  attempted,
}: {
  job: AgentJobDetail;
  attempted: AttemptedItem;
}): JSX.Element | null {
  if (attempted.version === job.version && attempted.reason === '') return null;
  return (
    <p class="attempt">
      <span>
        Last attempted: version {attempted.version}, {phaseWord(attempted.phase)}{' '}
        <Ago at={attempted.at} />
      </span>
      {attempted.reason === '' ? null : <span class="attempt-reason">{attempted.reason}</span>}
    </p>
  );
}

function Counter({
  name,
  value,
  rate = null,
  alarming = false,
}: {
  name: string;
  value: number;
  /** Records a second, where it is known. */
  rate?: number | null;
  alarming?: boolean;
}): JSX.Element {
  return (
    <div class={alarming ? 'counter alarming' : 'counter'}>
      <dt>{name}</dt>
      <dd>
        {formatCount(value)}
        {rate === null ? null : <span class="counter-rate">{formatRate(rate)}/s</span>}
      </dd>
    </div>
  );
}

/** How far event time has come, as its distance to now: a number that can be watched. */
function Watermark({ at }: { at: number | null }): JSX.Element {
  const now = useNow();
  return (
    <div class="counter">
      <dt>Watermark</dt>
      <dd title={at === null ? 'no record yet' : formatTimestamp(at)}>
        {at === null ? '–' : `−${formatDuration(now - at)}`}
      </dd>
    </div>
  );
}
