/** When a batch job runs: its schedule in words, and each device with what came last and next. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { JobAgentItem, JobDetail } from '../../http/live-messages.ts';
import type { BatchItem } from '../../http/run-messages.ts';
import { formatCount, plural } from '../format/amount.ts';
import { paths } from '../router.ts';
import { readBatchDocument } from '../runs/batch-document.ts';
import { runLook } from '../runs/run-look.ts';
import { scheduleWords, zoneOf } from '../runs/schedule-words.ts';
import { EmptyNote, Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';
import { connectionLook, Mark } from './state-mark.tsx';

const SHOWN_AT_FIRST = 8;
const SHOWN_MORE = 100;

export function BatchSchedule({ job }: { job: JobDetail }): JSX.Element {
  const { schedule, partition } = readBatchDocument(job.document);
  const triggers = scheduleWords(schedule);
  const zone = zoneOf(schedule);
  return (
    <Panel title="Schedule" note={job.paused ? 'paused: starts no runs' : undefined}>
      <ul class="triggers">
        {triggers.length === 0 ? <li>Runs when somebody asks for it.</li> : null}
        {triggers.map(({ text, code }) => (
          <li key={`${text}${code ?? ''}`}>
            Runs {text} {code === null ? null : <code>{code}</code>}
          </li>
        ))}
      </ul>
      <p class="fine">
        {zone === null ? null : `On the clock of ${zone}. `}
        {partitionWords(partition)}
      </p>
      <Devices job={job} />
    </Panel>
  );
}

function partitionWords(partition: ReturnType<typeof readBatchDocument>['partition']): string {
  if (partition === null) return 'A run covers the instant that it stands for.';
  const { every, keys } = partition;
  const period = every === null ? '' : `one whole period of ${every}`;
  if (keys.length === 0) return `A run covers ${period}, the last that has ended.`;
  const of = plural(keys.length, 'key');
  return `A run covers one of ${of}${period === '' ? '' : ` and ${period}`}.`;
}

function Devices({ job }: { job: JobDetail }): JSX.Element {
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  const agents = [...job.agents].sort(worstFirst);
  if (agents.length === 0) return <EmptyNote>It is placed on no device yet.</EmptyNote>;
  const rest = agents.length - shown;
  return (
    <>
      <div class="table-wrap">
        <table class="table batch-table">
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">Last run</th>
              <th scope="col">Next</th>
              <th scope="col">Skipped</th>
            </tr>
          </thead>
          <tbody>
            {agents.slice(0, shown).map((agent) => (
              <DeviceRow key={agent.agent} job={job} agent={agent} />
            ))}
          </tbody>
        </table>
      </div>
      {rest <= 0 ? null : (
        <button type="button" class="button small" onClick={() => setShown(shown + SHOWN_MORE)}>
          Show more ({formatCount(rest)} left)
        </button>
      )}
    </>
  );
}

function DeviceRow({ job, agent }: { job: JobDetail; agent: JobAgentItem }): JSX.Element {
  const { batch, connection } = agent;
  const away = connection === 'offline' || connection === 'never';
  return (
    <tr class={away ? 'away' : undefined}>
      <th scope="row">
        <a href={paths.jobRuns(job.name, agent.name)}>{agent.name}</a>
        {away ? (
          <span class="sub state">
            <Mark {...connectionLook('approved', connection)} />
            {connection === 'never' ? 'never connected' : 'offline: as last reported'}
          </span>
        ) : null}
      </th>
      <td data-label="Last run">
        {agent.notPlaced === null ? <LastRun batch={batch} agent={agent.agent} /> : agent.notPlaced}
      </td>
      <td data-label="Next">
        <NextRun job={job} batch={batch} />
      </td>
      <td data-label="Skipped">{batch === null ? '–' : <Skipped skipped={batch.skipped} />}</td>
    </tr>
  );
}

export function LastRun({
  batch,
  agent,
}: {
  batch: BatchItem | null;
  /** Id of the agent that says so. */
  agent: string;
}): JSX.Element {
  if (batch === null) return <span class="quiet">not reported yet</span>;
  const { lastRun, activeRuns, queuedRuns, waits } = batch;
  const open = [
    ...(activeRuns === 0 ? [] : [`${formatCount(activeRuns)} running`]),
    ...(queuedRuns === 0 ? [] : [`${formatCount(queuedRuns)} queued`]),
  ].join(', ');
  return (
    <span class="last-run">
      {lastRun === null ? (
        <span class="quiet">none yet</span>
      ) : (
        <>
          <span class="state">
            <Mark {...runLook(lastRun.state)} />
            <a href={paths.run(lastRun.run, agent)}>{runLook(lastRun.state).word}</a>
          </span>
          <span class="quiet">
            {lastRun.partition}, <Ago at={lastRun.endedAt} />
          </span>
        </>
      )}
      {open === '' ? null : (
        <span class="state">
          <Mark {...runLook(activeRuns > 0 ? 'running' : 'queued')} />
          {open}
        </span>
      )}
      {waits === undefined ? null : <span class="quiet">{waits}</span>}
    </span>
  );
}

function NextRun({ job, batch }: { job: JobDetail; batch: BatchItem | null }): JSX.Element {
  if (batch === null) return <span class="quiet">–</span>;
  if (job.paused) return <span class="quiet">paused</span>;
  return batch.nextAt === null ? (
    <span class="quiet">none planned</span>
  ) : (
    <Ago at={batch.nextAt} />
  );
}

/** Times that started no run, by reason: never lost silently. */
export function Skipped({ skipped }: { skipped: Readonly<Record<string, number>> }): JSX.Element {
  const reasons = Object.entries(skipped).filter(([, count]) => count > 0);
  if (reasons.length === 0) return <span class="quiet">none</span>;
  return (
    <>
      {reasons.map(([reason, count]) => (
        <span class="drop" key={reason}>
          {formatCount(count)} {reason.replaceAll('_', ' ')}
        </span>
      ))}
    </>
  );
}

function worstFirst(a: JobAgentItem, b: JobAgentItem): number {
  const rank = ({ batch, notPlaced, connection }: JobAgentItem): number => {
    if (batch?.lastRun?.state === 'failed') return 3;
    if (notPlaced !== null) return 2;
    return connection === 'online' ? 0 : 1;
  };
  return rank(b) - rank(a) || a.name.localeCompare(b.name, 'en', { numeric: true });
}
