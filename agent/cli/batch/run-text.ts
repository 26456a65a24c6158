/** A run that has ended, for people: a line for each task in the order they ended, errors below. */
import { runKey } from '../../batch/dag/task-scope.ts';
import type { RunRecord } from '../../batch/records.ts';
import { table } from '../table.ts';
import { plain } from '../terminal.ts';
import { nameOf, type TaskLine } from './run-lines.ts';

const OUTPUT_CHARS_MAX = 80;

export function runText(run: RunRecord, lines: readonly TaskLine[]): string {
  const rows = lines.map(({ task, index, state, attempt, startedAt, endedAt, output }) => [
    nameOf(task, index),
    state,
    attempt === 0 ? '-' : String(attempt),
    startedAt === null || endedAt === null ? '-' : tookText(endedAt - startedAt),
    shortOutput(output),
  ]);
  const failures = lines.flatMap(({ task, index, error }) =>
    error === null
      ? []
      : [`${nameOf(task, index)}: ${plain(error.message)} (${error.class}, ${error.code})\n`],
  );
  const ended = `run ${runKey(run)}: ${run.state}\n`;
  const why = run.error === null ? '' : `  ${plain(run.error.message)}\n`;
  const parts = [table(['TASK', 'STATE', 'ATTEMPTS', 'TOOK', 'OUTPUT'], rows)];
  if (failures.length > 0) parts.push(failures.join(''));
  return `${parts.join('\n')}\n${ended}${why}`;
}

function tookText(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`;
}

function shortOutput(output: unknown): string {
  if (output === null) return '';
  const text = JSON.stringify(output);
  return text.length <= OUTPUT_CHARS_MAX ? text : `${text.slice(0, OUTPUT_CHARS_MAX - 1)}…`;
}
