/** Logs of runs on disks that fail: what a run does never depends on what can be told of it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import { logPath, type RunLog } from '@runnel/agent/batch/runs/run-log.ts';
import { readLog } from '@runnel/agent/batch/runs/read-log.ts';
import { RunLogs } from '@runnel/agent/batch/runs/run-logs.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';
import { Gate } from './gate.ts';

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;
const NOWHERE = { task: null, index: null, attempt: 0 };
const ALL = { task: null, after: 0, linesMax: 10_000 };

function openLogs() {
  const batchDir = tempDir('run-logs');
  const conditions = new Conditions(systemClock);
  const log = pino({ level: 'silent' });
  const logs = new RunLogs({ batchDir, clock: systemClock, log, conditions });
  return { batchDir, conditions, logs, path: logPath(batchDir, 'r1') };
}

async function textsOf(path: string, ask = ALL): Promise<string[]> {
  return (await readLog(path, ask)).map(({ text }) => text);
}

async function ran(spoil: (directory: string) => void) {
  const gate = new Gate();
  const site = await openBatchSite({ settings: { runners: gate.runners } });
  const tasks =
    'tasks: [{ id: a, value: { value: wait } }, { id: b, needs: a, value: { value: 2 } }]';
  await site.runtime.applyJobs([desiredJob('j', tasks)]);
  const { runs } = await site.command({ ...ASK, job: 'j' });
  const run = runs[0]!.run;
  await expect.poll(() => gate.waiting).toBe(1);
  const directory = join(site.dataDir, 'batch/logs');
  await expect.poll(() => existsSync(directory)).toBe(true);
  spoil(directory);
  gate.open();
  return { site, run, report: await site.ended(run) };
}

it('a run goes on, and its log too, when the directory of logs is taken away', async () => {
  const { site, run, report } = await ran((directory) => rmSync(directory, { recursive: true }));
  expect(report).toMatchObject({ state: 'success', tries: 1 });
  const logs = { action: 'logs', run, task: null, after: 0, linesMax: 100 } as const;
  const { lines } = await site.command(logs);
  expect(lines.map(({ text }) => text)).toContain(`run j/${report.partition} succeeded`);
});

it('a disk that takes no lines fails no run: it is counted, and a condition', async () => {
  const { site, report } = await ran((directory) => {
    rmSync(directory, { recursive: true });
    writeFileSync(directory, 'no directory');
  });
  expect(report).toMatchObject({ state: 'success', tries: 1 });
  await expect.poll(() => site.runtime.counters().batch_log_lines_lost).toBeGreaterThan(0);
  expect(site.conditions.list()).toContainEqual(
    expect.objectContaining({ type: 'batch/logs', reason: 'LogNotWritable' }),
  );
});

it('a log that cannot be opened is no verdict on the job', async () => {
  const site = await openBatchSite();
  mkdirSync(join(site.dataDir, 'batch'), { recursive: true });
  writeFileSync(join(site.dataDir, 'batch/logs'), 'no directory');
  await site.runtime.applyJobs([desiredJob('j', 'tasks: [{ id: a, value: { value: 1 } }]')]);
  const { runs } = await site.command({ ...ASK, job: 'j' });
  expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'success', error: null });
});

it('the condition goes when a line is written again, and lines keep their order', async () => {
  const { batchDir, conditions, logs, path } = openLogs();
  const directory = join(batchDir, 'logs');
  writeFileSync(directory, 'no directory');
  const log = logs.of('r1');
  log.write('info', NOWHERE, 'lost');
  await logs.settled();
  expect(conditions.list().map(({ type }) => type)).toEqual(['batch/logs']);
  rmSync(directory);
  for (let n = 0; n < 100; n++) log.write('info', NOWHERE, `line ${n}`);
  await logs.settled();
  expect(conditions.list()).toEqual([]);
  expect(logs.lostTotal).toBe(1);
  expect(await textsOf(path)).toEqual(Array.from({ length: 100 }, (_, n) => `line ${n}`));
});

it('a full log or memory drops the newest lines, in the mirror too, and says so', async () => {
  const { logs, path } = openLogs();
  const log = logs.of('r1');
  const mirrored: string[] = [];
  const tell = (text: string): void => void mirrored.push(text);
  const task = log.of({ ...NOWHERE, task: 'a' }, { info: tell, warn: tell, error: tell });
  const text = 'x'.repeat(1000);
  // All at once: more than may wait for the disk.
  for (let n = 0; n < 1000; n++) task.info(text);
  expect(mirrored.length).toBeLessThan(limits.runLogWaitingBytesMax / 1000);
  await fill(logs, log, text);
  log.close();
  await logs.settled();
  const lines = await readLog(path, { ...ALL, after: 900 });
  expect(lines.at(-1)?.text).toBe(
    `${logs.droppedTotal} lines were dropped: a run may log ${limits.runLogBytesMax} bytes`,
  );
  const bytes = readFileSync(path).length;
  expect(bytes).toBeLessThan(limits.runLogBytesMax + limits.runLogTextCharsMax);
  expect(mirrored.length + logs.droppedTotal).toBeGreaterThanOrEqual(1000);
});

async function fill(logs: RunLogs, log: RunLog, text: string): Promise<void> {
  for (let n = 0; n < 12; n++) {
    for (let line = 0; line < 200; line++) log.write('info', NOWHERE, text);
    await logs.settled();
  }
}

it('a log that a crash cut in half goes on with the next number on a line of its own', async () => {
  const { logs, path, batchDir } = openLogs();
  logs.of('r1').write('info', NOWHERE, 'one');
  await logs.settled();
  writeFileSync(path, `${readFileSync(path, 'utf8')}{"n":2,"at":17`);
  const again = new RunLogs({
    batchDir,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    conditions: new Conditions(systemClock),
  });
  again.of('r1').write('info', NOWHERE, 'two');
  await again.settled();
  expect((await readLog(path, ALL)).map(({ n, text }) => [n, text])).toEqual([
    [1, 'one'],
    [2, 'two'],
  ]);
});

it('whoever follows a log gets the lines after the last one, from any place in it', async () => {
  const { logs, path } = openLogs();
  const log = logs.of('r1');
  for (let n = 1; n <= 1500; n++) {
    log.write('info', NOWHERE, `${n} ${'é'.repeat(n % 90)}`);
    if (n % 300 === 0) await logs.settled();
  }
  await logs.settled();
  for (const after of [0, 1, 7, 400, 1111, 1498, 1499, 1500, 2000]) {
    const lines = await readLog(path, { task: null, after, linesMax: 3 });
    const wanted = [1, 2, 3].map((more) => after + more).filter((n) => n <= 1500);
    expect(lines.map(({ n }) => n)).toEqual(wanted);
  }
});

it('a closed log is let go, and a run that goes on has it again', async () => {
  const { logs, path } = openLogs();
  const first = logs.of('r1');
  first.write('info', NOWHERE, 'one');
  first.close();
  await logs.settled();
  const second = logs.of('r1');
  expect(second).not.toBe(first);
  second.write('info', NOWHERE, 'two');
  second.close();
  await logs.settled('r1');
  expect((await readLog(path, ALL)).map(({ n }) => n)).toEqual([1, 2]);
  expect(existsSync(path)).toBe(true);
});
