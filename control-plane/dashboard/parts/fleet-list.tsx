/**
 * The rows of the fleet, of which only those in sight are rendered. Roles of a table by hand,
 * because rows that are not rendered still count: a screen reader hears "row 312 of 10,000".
 * Arrow keys move between devices, Enter opens one.
 */
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { AgentItem } from '../../http/live-messages.ts';
import { type FleetRow, summariseJobs } from '../fleet/fleet-view.ts';
import { rowWindow } from '../fleet/row-window.ts';
import { paths } from '../router.ts';
import { HealthCell, HealthHead } from './health-cell.tsx';
import { Labels } from './labels.tsx';
import { Ago, Since } from './relative-time.tsx';
import { useApp, useLoaded, useStale } from '../hooks.ts';
import { connectionLook, Mark, severityLook } from './state-mark.tsx';

/** Must agree with `--row-height` in fleet.css, which is read back to be sure. */
const ROW_HEIGHT_DEFAULT = 46;

export function FleetList({ rows }: { rows: readonly FleetRow[] }): JSX.Element {
  const body = useRef<HTMLDivElement>(null);
  const view = useView(body);
  const { first, end } = rowWindow(rows.length, view.rowHeight, view.top, view.height);
  return (
    <div class="fleet-list" role="table" aria-label="Devices" aria-rowcount={rows.length + 1}>
      <div class="fleet-head" role="row" aria-rowindex={1}>
        <span role="columnheader">Device</span>
        <HealthHead />
        <span role="columnheader">Condition</span>
        <span role="columnheader">Jobs</span>
        <span role="columnheader">Labels</span>
        <span role="columnheader">Version</span>
        <span role="columnheader">Last seen</span>
      </div>
      <div
        class="fleet-body"
        role="rowgroup"
        ref={body}
        style={{ height: `${rows.length * view.rowHeight}px` }}
        onKeyDown={moveFocus}
      >
        {rows.slice(first, end).map((row, index) => (
          <DeviceRow
            key={row.agent.id}
            row={row}
            index={first + index}
            top={(first + index) * view.rowHeight}
          />
        ))}
      </div>
    </div>
  );
}

function DeviceRow({
  row,
  index,
  top,
}: {
  row: FleetRow;
  index: number;
  top: number;
}): JSX.Element {
  const { agent, attention } = row;
  const look = connectionLook(agent.status, agent.connection);
  return (
    <div
      class={`fleet-row level-${attention.level}`}
      role="row"
      aria-rowindex={index + 2}
      data-agent={agent.id}
      data-row={index}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span class="cell-name" role="cell">
        <Mark shape={look.shape} tone={look.tone} />
        <a href={paths.device(agent.id)} title={`${agent.name} (${agent.id})`}>
          {agent.name}
        </a>
      </span>
      <HealthCell agent={agent} />
      <span class="cell-cause" role="cell">
        <CauseText row={row} />
      </span>
      <JobsCell agent={agent} />
      <span class="cell-labels" role="cell">
        <Labels labels={agent.labels} max={2} />
      </span>
      <span class="cell-version" role="cell">
        {agent.version}
      </span>
      <span class="cell-seen" role="cell">
        <Ago at={agent.lastSeenAt} />
      </span>
    </div>
  );
}

/** Jobs as reported; of a device that is away this is what was, and is drawn so. */
function JobsCell({ agent }: { agent: AgentItem }): JSX.Element {
  const jobs = summariseJobs(agent);
  const silent = agent.connection === 'offline' || agent.status === 'revoked';
  const away = silent && jobs.text !== 'none';
  const broken = jobs.broken && !away;
  return (
    <span
      class={broken ? 'cell-jobs broken' : 'cell-jobs'}
      role="cell"
      title={away ? 'As last reported, before contact was lost' : undefined}
    >
      {jobs.text === 'none' || away ? (
        <span class="quiet">{away ? `was: ${jobs.text}` : 'no jobs'}</span>
      ) : (
        jobs.text
      )}
    </span>
  );
}

/** The worst cause in words; a healthy device only says that it is there. */
function CauseText({ row }: { row: FleetRow }): JSX.Element {
  const stale = useStale();
  const { agent, attention } = row;
  const word = connectionLook(agent.status, agent.connection).word;
  const state = stale ? `Was ${word.toLowerCase()}` : word;
  const [worst, ...others] = attention.causes;
  if (worst === undefined || worst.severity === 'info') return <span class="quiet">{state}</span>;
  return (
    <span class="cause" title={attention.causes.map(({ text }) => text).join('\n')}>
      {worst.ofConnection ? null : <Mark {...severityLook(worst.severity)} />}
      <span class="cause-text">
        <span class="visually-hidden">{state}. </span>
        {worst.run === undefined ? (
          worst.text
        ) : (
          <RunCause run={worst.run} agent={agent.id} text={worst.text} />
        )}
      </span>
      <span class="cause-more">
        {worst.since === null ? null : <Since at={worst.since} />}
        {others.length === 0 ? null : `, ${others.length} more`}
      </span>
    </span>
  );
}

/** The cause of a failed run is read once it is shown; until then its being failed is enough. */
function RunCause({ run, agent, text }: { run: string; agent: string; text: string }): JSX.Element {
  const app = useApp();
  const loaded = useLoaded(`failed/${agent}/${run}`, () => app.api.runs.one(run, agent));
  const error = loaded.status === 'ready' ? loaded.value.error : null;
  return (
    <>
      <a href={paths.run(run, agent)}>{text}</a>
      {error === null ? null : `: ${error.message}`}
    </>
  );
}

interface View {
  readonly top: number;
  readonly height: number;
  readonly rowHeight: number;
}

/** Where the list is in the window: measured at most once a frame. */
function useView(body: { current: HTMLDivElement | null }): View {
  const [view, setView] = useState<View>({
    top: 0,
    height: innerHeight,
    rowHeight: ROW_HEIGHT_DEFAULT,
  });
  const measure = (): void => {
    if (body.current === null) return;
    const rowHeight = parseFloat(getComputedStyle(body.current).getPropertyValue('--row-height'));
    const top = -body.current.getBoundingClientRect().top;
    const next = { top, height: innerHeight, rowHeight: rowHeight || ROW_HEIGHT_DEFAULT };
    setView((old) =>
      old.top === next.top && old.height === next.height && old.rowHeight === next.rowHeight
        ? old
        : next,
    );
  };
  useLayoutEffect(measure, []);
  useEffect(() => {
    let frame = 0;
    const onChange = (): void => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(measure);
    };
    addEventListener('scroll', onChange, { passive: true });
    addEventListener('resize', onChange);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', onChange);
      removeEventListener('resize', onChange);
    };
  }, []);
  return view;
}

const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 };

function moveFocus(event: KeyboardEvent): void {
  const step = STEPS[event.key];
  const row =
    event.target instanceof Element ? event.target.closest<HTMLElement>('[data-row]') : null;
  if (step === undefined || row === null) return;
  const next = Number(row.dataset.row) + step;
  const link = row.parentElement?.querySelector<HTMLElement>(`[data-row="${next}"] a`);
  if (link === null || link === undefined) return;
  event.preventDefault();
  link.focus({ preventScroll: true });
  link.closest('[data-row]')?.scrollIntoView({ block: 'nearest' });
}
