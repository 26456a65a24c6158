/** What a test of a batch job expected against what the run left: lines, none if it is equal. */
import { LANES, type Row } from '@runnel/shared/protocol/results.ts';
import { runKey } from '../../batch/dag/task-scope.ts';
import type { DatasetRecord, RunRecord, TaskRecord } from '../../batch/records.ts';
import { lineDiff, matches } from '../line-diff.ts';
import type { ReceivedRequest } from './answering-server.ts';
import type { BatchStep, ExpectedTask } from './batch-test-file.ts';
import { jsonRows, tableRows, tabularRows, textOf } from './found-files.ts';
import type { LocalDevice } from './local-device.ts';

export interface FinishedRun {
  readonly expect: BatchStep['expect'];
  readonly run: RunRecord;
  readonly device: LocalDevice;
  readonly dataDir: string;
  readonly received: readonly ReceivedRequest[];
}

export async function compareRun(finished: FinishedRun): Promise<string[]> {
  const { expect, run, received } = finished;
  const records = taskRecords(finished);
  const problems: string[] = [];
  if (run.state !== expect.state) {
    problems.push(`run ${runKey(run)}: expected ${expect.state}, was ${run.state}`);
    problems.push(...failures(records));
  }
  for (const [id, wanted] of Object.entries(expect.tasks)) {
    const own = records.filter(({ task }) => task === id);
    problems.push(...(await taskProblems(id, wanted, own, finished)));
  }
  problems.push(...(await resultProblems(finished)));
  problems.push(...(await datasetProblems(finished)));
  problems.push(...(await fileProblems(finished)));
  if (expect.http !== undefined) problems.push(...headed('http', lineDiff(expect.http, received)));
  return problems;
}

function taskRecords({ device, run }: FinishedRun): TaskRecord[] {
  return device.records.list<TaskRecord>(['task', run.id]).map(({ value }) => value);
}

function failures(records: readonly TaskRecord[]): string[] {
  return records
    .filter(({ error, items }) => error !== null && items === null)
    .map(({ task, error }) => `  ${task}: ${error?.message} (${error?.class})`);
}

/** The task itself, as `tasks.<id>` shows it: of one with `forEach` the list of its outputs. */
async function taskProblems(
  id: string,
  wanted: ExpectedTask,
  records: readonly TaskRecord[],
  { dataDir }: FinishedRun,
): Promise<string[]> {
  const head = records.find(({ index }) => index === null);
  if (head === undefined) return [`task ${id}: has not been there`];
  const { output, rows, ...rest } = wanted;
  const instances = records.filter(({ index }) => index !== null);
  const isMapped = head.items !== null && head.items > 0;
  const firstError = [head, ...instances].find(({ error }) => error !== null)?.error ?? null;
  const found = { state: head.state, attempt: head.attempt, items: head.items };
  const problems: string[] = [];
  for (const [field, value] of Object.entries(rest)) {
    if (value === undefined) continue;
    if (field === 'error') {
      if ([firstError?.class, firstError?.code].includes(value as string)) continue;
      const was = firstError === null ? 'none' : `${firstError.class}, ${firstError.code}`;
      problems.push(`task ${id}: expected the error ${value}, was ${was}`);
      continue;
    }
    const is = (found as Record<string, unknown>)[field];
    if (is === value) continue;
    const why = firstError === null ? '' : ` (${firstError.message})`;
    problems.push(`task ${id}: expected ${field} ${value}, was ${String(is)}${why}`);
  }
  if (output !== undefined) {
    const actual = isMapped ? instances.map((each) => each.output) : head.output;
    if (!matches(output, actual)) {
      problems.push(...headed(`task ${id}: output`, lineDiff([output], [actual])));
    }
  }
  if (rows !== undefined) {
    problems.push(...headed(`task ${id}: rows`, lineDiff(rows, await tableRows(dataDir, head))));
  }
  return problems;
}

async function resultProblems({ device, expect }: FinishedRun): Promise<string[]> {
  const results: Row[] = [];
  const { outbox } = device.runtime;
  for (const lane of LANES) {
    for (let block = outbox.next(lane); block !== undefined; block = outbox.next(lane)) {
      results.push(...block.rows.filter(({ kind }) => kind === 'result'));
      // The next run of the test begins with none.
      await outbox.acknowledge(block.epoch, lane, block.last);
    }
  }
  const wanted = Object.entries(expect.results);
  return wanted.flatMap(([dataset, rows]) => {
    const found = results.filter((row) => row.dataset === dataset).map(({ value }) => value);
    return headed(`results ${dataset}`, lineDiff(rows, found));
  });
}

async function datasetProblems({ dataDir, device, expect }: FinishedRun): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, partitions] of Object.entries(expect.datasets)) {
    const records = device.records.list<DatasetRecord>(['dataset', name]);
    for (const [partition, rows] of Object.entries(partitions)) {
      const found = records.find(({ value }) => value.partition === partition)?.value;
      if (found === undefined) {
        const there = records.map(({ value }) => value.partition).join(', ') || 'none';
        problems.push(`dataset ${name}: has no partition ${partition}; there: ${there}`);
        continue;
      }
      const head = `dataset ${name} ${partition}`;
      problems.push(...headed(head, lineDiff(rows, await tableRows(dataDir, found))));
    }
  }
  return problems;
}

async function fileProblems({ dataDir, device, expect }: FinishedRun): Promise<string[]> {
  const wanted = Object.entries(expect.files);
  const withRows = wanted.filter(([, content]) => Array.isArray(content)).map(([path]) => path);
  const tabular = await tabularRows(device, dataDir, withRows);
  return wanted.flatMap(([path, content]) => {
    const text = textOf(dataDir, path);
    if (content === null) return text === null ? [] : [`file ${path}: expected none`];
    if (text === null) return [`file ${path}: is not there`];
    if (Array.isArray(content)) {
      return headed(`file ${path}`, lineDiff(content, tabular.get(path) ?? jsonRows(text, path)));
    }
    return headed(`file ${path}`, lineDiff(content.split('\n'), text.split('\n')));
  });
}

function headed(head: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${head}:`, ...lines];
}
