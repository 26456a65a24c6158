/**
 * A device that writes what it likes wherever a device may write, and jobs whose texts do the same:
 * markup that would run in a page, and characters that would act on a terminal.
 */
import type { BatchReport } from '@runnel/shared/protocol/runs.ts';
import type { TestControlPlane } from './control-plane.ts';
import { Device, jobReportOf, sourceReportOf } from './device.ts';
import { runRowOf, taskRowOf } from './runs.ts';

/** A page in which any of it ran has `window.pwned`. */
const MARKUP =
  `"'><img src=x onerror="window.pwned=1"><svg onload="window.pwned=1">` +
  `<script>window.pwned=1</script><a href="javascript:window.pwned=1">x</a>{{7*7}}`;

/** New title, cleared screen (as two characters and as one), overwritten line, turned text. */
const ESCAPES = '\u001B]0;pwned\u0007\u001B[2J\u009B2J\rover\u202Eturned';

export const evil = (where: string): string => `${where} ${MARKUP}${ESCAPES}`;

export const STREAM = 'evil-stream';
export const BATCH = 'evil-batch';
export const DATASET = '<img src=x onerror="window.pwned=1">\u001B[2J\u009B2J\u202E';
export const RUN = 'run-evil';

/** Names of agents hold no control characters: such a one is not let in. */
export const HOSTILE_NAME = `device ${MARKUP}`.slice(0, 128);

export class HostileFleet {
  readonly device: Device;

  /** Whoever starts one closes `device`. */
  static async start(control: TestControlPlane): Promise<HostileFleet> {
    const fleet = new HostileFleet(await Device.join(control, { name: HOSTILE_NAME }));
    for (const job of [streamJob, batchJob]) {
      const applied = await control.post('/jobs', JSON.stringify(job));
      if (applied.status >= 300) throw new Error(applied.text);
    }
    await fleet.report();
    return fleet;
  }

  private constructor(device: Device) {
    this.device = device;
    // The same lines again and again, whatever is asked for.
    device.answering(({ action }) =>
      action === 'logs'
        ? { lines: [...logLines] }
        : { code: evil('code'), message: evil('answer') },
    );
  }

  async report(): Promise<void> {
    const now = Date.now();
    await this.device.beat({
      ...{ sentAt: now, startedAt: now, intervalMs: 60_000 },
      agentVersion: evil('version'),
      platform: { os: evil('os'), arch: evil('arch'), node: evil('node') },
      capabilities: ['stream', 'batch', 'task:value', 'source:host', evil('capability')],
      conditions: ['jobs', 'storage'].map((axis, at) => ({
        ...{ type: evil('t').slice(0, 199 - at), axis: axis as 'jobs', severity: 'error' as const },
        ...{ reason: evil('r').slice(0, 100), message: evil('condition'), since: now },
      })),
      jobs: [STREAM, BATCH, evil('job')].map((job) =>
        jobReportOf({
          name: job,
          phase: 'failed',
          attempted: { version: 2, phase: 'refused', reason: evil('refusal'), at: now },
          deadLettersBy: { [`${evil('step')}: ${evil('reason')}`]: 3 },
          dropped: { [evil('drop')]: 2 },
          ...(job === BATCH ? { batch: batchReport(now) } : {}),
        }),
      ),
      sources: [
        sourceReportOf({
          ...{ id: evil('source'), kind: evil('kind'), label: evil('label') },
          ...{ error: evil('failure'), dropped: { [evil('lost')]: 1 } },
        }),
      ],
      counters: { [evil('counter')]: 1 },
    });
    await this.device.send(rowsOf(now));
  }
}

const streamJob = {
  apiVersion: 'runnel/v1',
  kind: 'StreamJob',
  metadata: { name: STREAM, description: evil('description') },
  sources: { device: { host: { every: '1s' } } },
  steps: [{ id: 'pass', filter: `payload.load1 > 0.0 || "${MARKUP.replaceAll('"', "'")}" == ''` }],
  sinks: [{ from: 'pass', results: { dataset: 'evil-results' } }],
};

const batchJob = {
  apiVersion: 'runnel/v1',
  kind: 'BatchJob',
  metadata: { name: BATCH },
  schedule: { every: '1h' },
  parameters: {
    text: { type: 'string', default: evil('default'), description: evil('p').slice(0, 500) },
  },
  tasks: [{ id: 'one', value: { value: evil('value') } }],
};

function batchReport(now: number): BatchReport {
  return {
    nextAt: now + 3_600_000,
    activeRuns: 1,
    queuedRuns: 0,
    lastRun: { run: evil('run'), partition: evil('partition'), state: 'failed', endedAt: now },
    lastSuccessAt: null,
    skipped: { [evil('skipped')]: 1 },
    ended: { [evil('ended')]: 1 },
  };
}

const logLines = (['debug', 'info', 'warn', 'error'] as const).map((level, at) => {
  const line = { at: 1_700_000_000_000, level, task: evil('task'), index: null, attempt: 1 };
  return { n: at + 1, ...line, text: evil('log') };
});

function rowsOf(now: number): Parameters<Device['send']>[0] {
  const error = { code: evil('code'), class: evil('class'), message: evil('error') };
  // Reports with control characters in what names a task or a partition are refused at intake.
  const partition = `partition ${MARKUP}`;
  const name = `task ${MARKUP}`;
  const run = {
    ...{ run: RUN, key: `${BATCH}/${partition}`, partition, state: 'failed' as const, error },
    ...{ queuedAt: now - 2000, startedAt: now - 1000, endedAt: now, at: now },
    parameters: { [evil('parameter')]: evil('given') },
    origins: { [evil('parameter')]: evil('origin') },
    tasks: [{ id: name, kind: evil('kind'), needs: [] }],
    affected: { tasks: [evil('affected')], jobs: [evil('waits')] },
  };
  const task = { run: RUN, task: name, state: 'failed' as const, error };
  const windows = { windowStart: now - 10_000, windowEnd: now, time: now, at: now };
  const value = { [evil('field')]: evil('text'), n: 1, list: [evil('item')] };
  const alert = { severity: 'error', message: evil('alert'), title: evil('title') };
  const result = { ...windows, job: STREAM, step: evil('step'), key: evil('key'), value };
  return [
    { ...result, dataset: 'evil-results' },
    { ...result, dataset: 'evil-results', key: { [evil('k')]: evil('v') } },
    { ...result, dataset: DATASET, job: evil('job') },
    { ...windows, kind: 'alert', job: STREAM, step: evil('step'), key: evil('key'), value: alert },
    { ...windows, kind: 'event', job: evil('job'), dataset: evil('type'), value: alert },
    { ...windows, kind: 'event', job: '', dataset: evil('type'), value: evil('event') },
    runRowOf(run, BATCH),
    taskRowOf({ ...task, output: evil('output') }, BATCH),
    runRowOf({ ...run, run: evil('run') }, BATCH),
    taskRowOf({ ...task, task: evil('task') }, BATCH),
  ];
}
