/**
 * Runs as columns, newest at the right, tasks as rows. Arrow keys move between cells, Home and End
 * along a row, Enter opens a run at that task. The grid is one stop of the Tab key.
 */
import type { JSX } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { RunItem, RunTaskItem } from '../../http/run-messages.ts';
import { formatAgo, formatDuration, formatTimestamp } from '../format/time.ts';
import { useNow } from '../hooks.ts';
import { paths } from '../router.ts';
import { type GridColumn, gridOf, type GridRow, instanceWords } from '../runs/run-grid.ts';
import { lookOfRun, taskLook, triggerWords } from '../runs/run-look.ts';
import type { TaskNeeds } from '../runs/task-order.ts';
import { plural } from '../format/amount.ts';
import { Mark } from './state-mark.tsx';

const ROWS_AT_FIRST = 100;
const BAR_PX_MIN = 2;
const BAR_PX_MAX = 56;

export function RunsGrid({
  job,
  runs,
  document,
}: {
  job: string;
  /** Newest first. */
  runs: readonly RunItem[];
  document: readonly TaskNeeds[];
}): JSX.Element {
  const now = useNow();
  const until = runs.some(({ state }) => state === 'running') ? now : 0;
  const grid = useMemo(() => gridOf(runs, document, now), [runs, document, until]);
  const [rowsMax, setRowsMax] = useState(ROWS_AT_FIRST);
  const [focused, setFocused] = useState<Focused | null>(null);
  const wrap = useNewestInSight(runs.length > 0);
  const rows = grid.rows.slice(0, rowsMax);
  const at = stopOf(grid.columns, rows.length, focused);
  return (
    <>
      <div class="runs-wrap" ref={wrap}>
        <table
          class="runs-grid"
          role="grid"
          aria-label={`Runs of ${job}`}
          aria-rowcount={grid.rows.length + 1}
          onKeyDown={(event) => moveCell(event, rows.length + 1, grid.columns.length)}
        >
          <thead>
            <tr>
              <Corner durationMsMax={grid.durationMsMax} />
              {grid.columns.map((column, index) => (
                <HeadCell
                  key={`${column.run.agent} ${column.run.run}`}
                  column={column}
                  index={index}
                  tick={tickAt(index, grid.columns.length)}
                  stop={at.row === 0 && at.column === index}
                  named={new Set(runs.map(({ agent }) => agent)).size > 1}
                  now={now}
                  onFocus={() => setFocused({ row: 0, run: column.run.run })}
                />
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <TaskRow
                key={row.task}
                row={row}
                index={index + 1}
                columns={grid.columns}
                stop={at.row === index + 1 ? at.column : null}
                onFocus={(run) => setFocused({ row: index + 1, run })}
              />
            ))}
          </tbody>
        </table>
      </div>
      {grid.rows.length <= rowsMax ? null : (
        <button type="button" class="button small" onClick={() => setRowsMax(Infinity)}>
          Show {plural(grid.rows.length - rowsMax, 'more task')}
        </button>
      )}
    </>
  );
}

interface Focused {
  readonly row: number;
  readonly run: string;
}

/** The cell that the Tab key stops at: the one that had the focus last, else the newest run. */
function stopOf(
  columns: readonly GridColumn[],
  rows: number,
  focused: Focused | null,
): { readonly row: number; readonly column: number } {
  const found = columns.findIndex(({ run }) => run.run === focused?.run);
  return {
    row: Math.min(focused?.row ?? 0, rows),
    column: found < 0 ? columns.length - 1 : found,
  };
}

/** How long the longest run took: what the bars are measured by. */
function Corner({ durationMsMax }: { durationMsMax: number }): JSX.Element {
  return (
    <th scope="col" class="corner">
      <span>{durationMsMax === 0 ? '' : formatDuration(durationMsMax)}</span>
    </th>
  );
}

/** The newest run is at the right, so the grid begins scrolled there. */
function useNewestInSight(any: boolean): { current: HTMLDivElement | null } {
  const wrap = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (wrap.current !== null) wrap.current.scrollLeft = wrap.current.scrollWidth;
  }, [any]);
  return wrap;
}

const TICK_EVERY = 4;

/** Which columns name their partition, so that names have room: the newest, and each fourth. */
function tickAt(index: number, columns: number): 'start' | 'end' | null {
  const fromEnd = columns - 1 - index;
  if (fromEnd % TICK_EVERY !== 0) return null;
  return fromEnd === 0 && index >= TICK_EVERY ? 'end' : 'start';
}

function HeadCell({
  column,
  index,
  tick,
  stop,
  named,
  now,
  onFocus,
}: {
  column: GridColumn;
  index: number;
  /** Where the name of its partition stands; null: it is left out. */
  tick: 'start' | 'end' | null;
  stop: boolean;
  named: boolean;
  now: number;
  onFocus: () => void;
}): JSX.Element {
  const { run, durationMs, share } = column;
  const { word, tone, shape } = lookOfRun(run);
  const height = Math.max(BAR_PX_MIN, Math.round(share * BAR_PX_MAX));
  const label = [
    `${run.partition}: ${word.toLowerCase()}`,
    ...(named ? [run.agentName] : []),
    durationMs === null ? 'not started' : formatDuration(durationMs),
    ...(run.tries > 1 ? [`try ${run.tries}`] : []),
    triggerWords(run.trigger),
    formatAgo(now, run.startedAt ?? run.queuedAt),
    ...(run.error === null ? [] : [run.error.message]),
  ].join('\n');
  return (
    <th scope="col" class={`run-column state-${run.state}`}>
      <a
        href={paths.run(run.run, run.agent)}
        tabIndex={stop ? 0 : -1}
        data-cell={`0 ${index}`}
        title={label}
        aria-label={label.replaceAll('\n', ', ')}
        onFocus={onFocus}
      >
        <span class="run-bar" style={{ height: `${height}px` }} />
        <Mark shape={shape} tone={tone} />
      </a>
      {tick === null ? null : (
        <span class={`run-tick at-${tick}`} aria-hidden="true">
          {run.partition}
        </span>
      )}
    </th>
  );
}

function TaskRow({
  row,
  index,
  columns,
  stop,
  onFocus,
}: {
  row: GridRow;
  index: number;
  columns: readonly GridColumn[];
  /** The cell of it that is the grid's stop of the Tab key. */
  stop: number | null;
  onFocus: (run: string) => void;
}): JSX.Element {
  return (
    <tr>
      <th scope="row" title={`${row.task} (${row.kind})`}>
        <span class="task-name" style={{ paddingLeft: `${Math.min(row.depth, 8) * 12}px` }}>
          {row.task}
        </span>
      </th>
      {row.cells.map((cell, column) => (
        <TaskCell
          key={column}
          row={row}
          cell={cell}
          run={columns[column]?.run}
          at={[index, column]}
          stop={stop === column}
          onFocus={onFocus}
        />
      ))}
    </tr>
  );
}

function TaskCell({
  row,
  cell,
  run,
  at,
  stop,
  onFocus,
}: {
  row: GridRow;
  cell: RunTaskItem | null;
  run: RunItem | undefined;
  at: readonly [number, number];
  stop: boolean;
  onFocus: (run: string) => void;
}): JSX.Element {
  if (cell === null || run === undefined) return <td />;
  const { shape, tone, word } = taskLook(cell.state);
  const counted = instanceWords(cell);
  const label = [
    `${row.task}: ${word.toLowerCase()}`,
    ...(counted === '' ? [] : [`${counted} instances succeeded`]),
    `run ${run.partition}, ${run.tries > 1 ? `try ${run.tries}, ` : ''}${formatTimestamp(run.at)}`,
  ].join('\n');
  return (
    <td class={`task-${cell.state ?? 'none'}`}>
      <a
        href={`${paths.run(run.run, run.agent)}&task=${encodeURIComponent(row.task)}`}
        tabIndex={stop ? 0 : -1}
        data-cell={at.join(' ')}
        title={label}
        aria-label={label.replaceAll('\n', ', ')}
        onFocus={() => onFocus(run.run)}
      >
        <Mark shape={shape} tone={tone} />
        {counted === '' ? null : <span class="mapped">{counted}</span>}
      </a>
    </td>
  );
}

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

/** Cells where a run has no such task are stepped over. */
function moveCell(
  event: JSX.TargetedKeyboardEvent<HTMLTableElement>,
  rows: number,
  columns: number,
): void {
  const move = MOVES[event.key];
  const from = event.target instanceof HTMLElement ? event.target.dataset['cell'] : undefined;
  if (move === undefined || from === undefined) return;
  event.preventDefault();
  const [down, right] = move;
  let [row = 0, column = 0] = from.split(' ').map(Number);
  const far = !Number.isFinite(right);
  if (far) column = right < 0 ? -1 : columns;
  const step = far ? -Math.sign(right) : right;
  for (let count = rows + columns; count > 0; count -= 1) {
    row += down;
    column += step;
    if (row < 0 || row >= rows || column < 0 || column >= columns) return;
    const link = event.currentTarget.querySelector<HTMLElement>(`[data-cell="${row} ${column}"]`);
    if (link === null) continue;
    link.focus();
    return;
  }
}
