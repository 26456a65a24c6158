/**
 * The tasks of a run: state, attempt and duration, each on the run's line of time. A task that is
 * chosen shows what it gave, its error, and the instances of its `forEach`.
 */
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { RunDetail, TaskInstanceItem } from '../../http/run-messages.ts';
import { plural } from '../format/amount.ts';
import { formatDuration, formatTimestamp } from '../format/time.ts';
import { useNow } from '../hooks.ts';
import { runDurationMs, instanceWords } from '../runs/run-grid.ts';
import { taskLook } from '../runs/run-look.ts';
import { barOf, spanOf, type Timeline, timelineOf, type TimelineRow } from '../runs/timeline.ts';
import { Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';
import { RunActions } from './run-actions.tsx';
import { Mark, Worded } from './state-mark.tsx';

const TASKS_AT_FIRST = 100;

export function RunTasks({
  run,
  chosen,
  onChoose,
}: {
  run: RunDetail;
  chosen: string | null;
  onChoose: (task: string | null) => void;
}): JSX.Element {
  const now = useNow();
  const timeline = useMemo(() => timelineOf(run, now), [run, run.state === 'running' ? now : 0]);
  const [most, setMost] = useState(TASKS_AT_FIRST);
  const chosenAt = timeline.rows.findIndex(({ task }) => task.id === chosen);
  const shown = Math.max(most, chosenAt + 1);
  const rest = timeline.rows.length - shown;
  return (
    <Panel
      title="Tasks"
      note={
        plural(run.tasks.length, 'task') + (run.truncated ? ', not every instance is shown' : '')
      }
    >
      <ul class="run-tasks">
        {timeline.rows.slice(0, shown).map((row) => (
          <TaskRow
            key={row.task.id}
            run={run}
            row={row}
            timeline={timeline}
            now={now}
            open={row.task.id === chosen}
            onToggle={() => onChoose(row.task.id === chosen ? null : row.task.id)}
          />
        ))}
      </ul>
      {rest <= 0 ? null : (
        <button type="button" class="button small" onClick={() => setMost(Infinity)}>
          Show {plural(rest, 'more task')}
        </button>
      )}
    </Panel>
  );
}

function TaskRow({
  run,
  row,
  timeline,
  now,
  open,
  onToggle,
}: {
  run: RunDetail;
  row: TimelineRow;
  timeline: Timeline;
  now: number;
  open: boolean;
  onToggle: () => void;
}): JSX.Element {
  const { task, bar, durationMs, head } = row;
  const item = useRef<HTMLLIElement>(null);
  const details = `details-${task.id}`;
  useEffect(() => {
    if (open) item.current?.scrollIntoView({ block: 'nearest' });
  }, [open]);
  return (
    <li ref={item} class={open ? 'run-task open' : 'run-task'}>
      <button
        type="button"
        class="task-line"
        aria-expanded={open}
        aria-controls={open ? details : undefined}
        onClick={onToggle}
      >
        <span class="task-name" style={{ paddingLeft: `${Math.min(row.depth, 8) * 12}px` }}>
          <Mark {...taskLook(task.state)} />
          <span class="task-id">{task.id}</span>
          <span class="quiet">{task.kind === 'none' ? '' : task.kind}</span>
        </span>
        <span class="task-state">
          {taskLook(task.state).word}
          {instanceWords(task) === '' ? '' : ` ${instanceWords(task)}`}
          {head !== null && head.attempt > 1 ? (
            <span class="quiet"> attempt {head.attempt}</span>
          ) : null}
        </span>
        <span class="task-track" aria-hidden="true">
          {bar === null ? null : (
            <span
              class={`task-bar state-${task.state ?? 'none'}`}
              style={{ left: `${bar.left * 100}%`, width: `${bar.width * 100}%` }}
            />
          )}
        </span>
        <span class="task-duration num">
          {durationMs === null ? '–' : formatDuration(durationMs)}
        </span>
      </button>
      {open ? <TaskDetails id={details} run={run} row={row} timeline={timeline} now={now} /> : null}
    </li>
  );
}

const INSTANCES_SHOWN = 50;

function TaskDetails({
  id,
  run,
  row,
  timeline,
  now,
}: {
  id: string;
  run: RunDetail;
  row: TimelineRow;
  timeline: Timeline;
  now: number;
}): JSX.Element {
  const { head, instances, task } = row;
  const [most, setMost] = useState(INSTANCES_SHOWN);
  const sorted = useMemo(() => [...instances].sort(brokenFirst), [instances]);
  return (
    <div class="task-details" id={id}>
      {task.needs.length === 0 ? null : <p class="fine">Needs {task.needs.join(', ')}</p>}
      {head === null && instances.length === 0 ? (
        <p class="fine">Nothing was reported of it yet.</p>
      ) : null}
      {head === null ? null : <Given instance={head} />}
      {instances.length === 0 ? null : (
        <ul class="instances">
          {sorted.slice(0, most).map((instance) => (
            <Instance key={instance.index} instance={instance} timeline={timeline} now={now} />
          ))}
        </ul>
      )}
      {instances.length <= most ? null : (
        <button type="button" class="button small" onClick={() => setMost(most + 500)}>
          Show more ({instances.length - most} left)
        </button>
      )}
      <RunActions run={run} task={task.id} />
    </div>
  );
}

function Instance({
  instance,
  timeline,
  now,
}: {
  instance: TaskInstanceItem;
  timeline: Timeline;
  now: number;
}): JSX.Element {
  const span = spanOf([instance], now);
  const bar = span === null ? null : barOf(span, timeline.startMs, timeline.endMs);
  const ms = runDurationMs(instance, now);
  return (
    <li>
      <div class="instance-line">
        <span class="quiet num">{instance.index}</span>
        <Worded look={taskLook(instance.state)} />
        <span class="task-track" aria-hidden="true">
          {bar === null ? null : (
            <span
              class={`task-bar state-${instance.state}`}
              style={{ left: `${bar.left * 100}%`, width: `${bar.width * 100}%` }}
            />
          )}
        </span>
        <span class="num">{ms === null ? '–' : formatDuration(ms)}</span>
      </div>
      <Given instance={instance} short />
    </li>
  );
}

/** What an instance gave, or why it gave nothing. */
function Given({
  instance,
  short = false,
}: {
  instance: TaskInstanceItem;
  short?: boolean;
}): JSX.Element {
  const { error, output, startedAt, endedAt, nextAttemptAt, attempt } = instance;
  return (
    <>
      {short ? null : (
        <p class="fine">
          Attempt {attempt}
          {startedAt === null ? ', not started' : `, started ${formatTimestamp(startedAt)}`}
          {endedAt === null ? '' : `, ended ${formatTimestamp(endedAt)}`}
        </p>
      )}
      {nextAttemptAt === null ? null : (
        <p class="fine">
          Is tried again <Ago at={nextAttemptAt} />
        </p>
      )}
      {error === null ? null : (
        <p class="task-error">
          {error.message} <span class="quiet mono">{error.class}</span>
        </p>
      )}
      {output === null || output === undefined ? null : <Output value={output} short={short} />}
    </>
  );
}

const OUTPUT_CHARACTERS_MAX = 8192;

function Output({ value, short }: { value: unknown; short: boolean }): JSX.Element {
  const text = JSON.stringify(value, null, short ? undefined : 2);
  return (
    <pre class="source output" tabIndex={0} aria-label="Output">
      {text.slice(0, OUTPUT_CHARACTERS_MAX)}
      {text.length > OUTPUT_CHARACTERS_MAX ? '\n…' : ''}
    </pre>
  );
}

function brokenFirst(a: TaskInstanceItem, b: TaskInstanceItem): number {
  const rank = ({ state }: TaskInstanceItem): number =>
    state === 'failed' || state === 'upstream_failed' ? 1 : 0;
  return rank(b) - rank(a) || (a.index ?? 0) - (b.index ?? 0);
}
