/**
 * The log of a run. It stays on its device and is asked for there, so a device that is away is said
 * to be so, with since when; what was read before stays in sight.
 */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { LogLine } from '@runnel/shared/protocol/runs.ts';
import type { RunDetail } from '../../http/run-messages.ts';
import { ApiError } from '../api/api-client.ts';
import { formatCount } from '../format/amount.ts';
import { formatClock, formatTimestamp } from '../format/time.ts';
import { asError, useApp, useObservable, useStale } from '../hooks.ts';
import { appendLog, emptyLog, type LogState } from '../runs/log-lines.ts';
import { EmptyNote, ErrorNote, Panel } from './panel.tsx';
import { Mark } from './state-mark.tsx';

/** How often a log that is followed is read again, and how long after a failure. */
const FOLLOW_MS = 2000;
const AFTER_FAILURE_MS = 10_000;

export function RunLog({
  run,
  task,
  tasks,
  onTask,
}: {
  run: RunDetail;
  task: string | null;
  tasks: readonly string[];
  onTask: (task: string | null) => void;
}): JSX.Element {
  const [follow, setFollow] = useState(true);
  const { log, error, again } = useLog(run, task, follow);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (follow && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [log.lines, follow]);
  return (
    <Panel
      title="Log"
      note={log.open ? undefined : 'complete'}
      actions={
        <span class="log-actions">
          <label class="select">
            <span class="visually-hidden">Task of the log</span>
            <select
              value={task ?? ''}
              onChange={(event) => onTask(event.currentTarget.value || null)}
            >
              <option value="">All tasks</option>
              {tasks.map((id) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))}
            </select>
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={follow}
              onChange={(event) => setFollow(event.currentTarget.checked)}
            />
            Follow
          </label>
        </span>
      }
    >
      {error === null ? null : <LogFailure error={error} agent={run.agent} retry={again} />}
      {log.cut === 0 ? null : (
        <p class="fine">{formatCount(log.cut)} older lines are not shown here.</p>
      )}
      {log.lines.length > 0 ? (
        <div class="log" ref={box} tabIndex={0} role="log" aria-label="Lines of the log">
          {log.lines.map((line) => (
            <Line key={line.n} line={line} />
          ))}
        </div>
      ) : error === null ? (
        <EmptyNote>{log.after === 0 && log.open ? 'No lines yet.' : 'No lines.'}</EmptyNote>
      ) : null}
    </Panel>
  );
}

function Line({ line }: { line: LogLine }): JSX.Element {
  const calm = line.level === 'info' || line.level === 'debug';
  return (
    <p class={`log-${line.level}`}>
      <time title={formatTimestamp(line.at)}>{formatClock(line.at)}</time>
      <span class="log-task">
        {line.task ?? ''}
        {line.index === null ? '' : `[${line.index}]`}
      </span>
      <span class="log-text">
        {calm ? '' : `${line.level}: `}
        {line.text}
      </span>
    </p>
  );
}

/** That the device is away is no fault of the page: said in its own words, and tried again. */
function LogFailure({
  error,
  agent,
  retry,
}: {
  error: Error;
  agent: string;
  retry: () => void;
}): JSX.Element {
  const device = useObservable(useApp().fleet).agents.get(agent);
  const isAway = error instanceof ApiError && error.code === 'device_unreachable';
  if (!isAway) return <ErrorNote error={error} retry={retry} />;
  const since = device?.lastSeenAt ?? null;
  const gone = device === undefined || device.connection !== 'online';
  return (
    <div class="away-note" role="status">
      <Mark shape="square" tone="warning" />
      <span>
        The log is on the device, which is not reachable
        {gone && since !== null ? ` since ${formatTimestamp(since)}` : ' at the moment'}. It is
        asked again by itself.
      </span>
      <button type="button" class="button small" onClick={retry}>
        Try now
      </button>
    </div>
  );
}

/** Reads pages until the log is complete; begins anew for another task or try. */
function useLog(
  run: RunDetail,
  task: string | null,
  follow: boolean,
): { readonly log: LogState; readonly error: Error | null; readonly again: () => void } {
  const app = useApp();
  const stale = useStale();
  const key = JSON.stringify([run.agent, run.run, task]);
  const [entry, setEntry] = useState<{ key: string; log: LogState; error: Error | null }>(() => ({
    key,
    log: emptyLog,
    error: null,
  }));
  const [round, setRound] = useState(0);
  const latest = useRef(entry);
  latest.current = entry.key === key ? entry : { key, log: emptyLog, error: null };
  useEffect(() => {
    if (stale) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let current = true;
    const keep = (log: LogState, error: Error | null): void => {
      latest.current = { key, log, error };
      setEntry(latest.current);
    };
    const read = async (): Promise<void> => {
      const { log } = latest.current;
      try {
        const page = await app.api.runs.logs(run, task, log.after);
        if (!current) return;
        keep(appendLog(log, page), null);
        if (page.items.length > 0) timer = setTimeout(step, page.open ? FOLLOW_MS / 4 : 0);
        else if (page.open && follow) timer = setTimeout(step, FOLLOW_MS);
      } catch (thrown) {
        if (!current) return;
        keep(log, asError(thrown));
        timer = setTimeout(step, AFTER_FAILURE_MS);
      }
    };
    const step = (): void => {
      // Nobody looks: the device is not asked.
      if (document.visibilityState === 'visible') void read();
      else timer = setTimeout(step, FOLLOW_MS);
    };
    step();
    return () => {
      current = false;
      clearTimeout(timer);
    };
    // A state that changes may mean more lines, also of a run that had ended.
  }, [app, key, follow, round, stale, run.state, run.tries]);
  const { log, error } = latest.current;
  return { log, error, again: () => setRound((count) => count + 1) };
}
