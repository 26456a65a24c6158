/**
 * A fleet with a batch job whose runs a test makes up: a real control plane with the built page, a
 * device that speaks the protocol and answers commands, and a browser that is signed in.
 */
import { onTestFinished } from 'vitest';
import type { BatchReport, RunReport, TaskReport } from '@runnel/shared/protocol/runs.ts';
import { type Browsed, openBrowser } from '../../support/chromium.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf } from '../../support/device.ts';
import { runRowOf, taskRowOf } from '../../support/runs.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

export const ROLLUP = `
apiVersion: runnel/v1
kind: BatchJob
metadata: { name: nightly-rollup, labels: { team: maintenance } }
placement: { selector: "site=lyon" }
schedule: { cron: "15 0 * * *", timezone: Europe/Paris, overlap: skip }
partition: { every: 1d }
parameters:
  minRms: { type: number, default: 0, description: "Readings below it are noise" }
  mode: { type: string, default: fast, values: [fast, exact] }
tasks:
  - { id: daily, value: { value: 1 } }
  - { id: machines, needs: [daily], value: { value: [1, 2, 3, 4] } }
  - { id: per-machine, needs: [machines], forEach: "tasks.machines.output", value: { value: 1 } }
  - { id: check, needs: [daily], value: { value: 1 } }
  - { id: share, needs: [check, per-machine], value: { value: 1 } }
  - { id: complain, needs: [check], trigger: one_failed, value: { value: 1 } }
`;

const TASKS: RunReport['tasks'] = [
  { id: 'daily', kind: 'sql', needs: [] },
  { id: 'machines', kind: 'value', needs: ['daily'] },
  { id: 'per-machine', kind: 'rollup', needs: ['machines'] },
  { id: 'check', kind: 'quality', needs: ['daily'] },
  { id: 'share', kind: 'publish', needs: ['check', 'per-machine'] },
  { id: 'complain', kind: 'http', needs: ['check'] },
];

type Rows = Parameters<Device['send']>[0];
export type Outcome = 'success' | 'failed' | 'running' | 'queued';

export function batchReportOf(more: Partial<BatchReport> = {}): BatchReport {
  return {
    nextAt: Date.now() + 2 * HOUR,
    activeRuns: 0,
    queuedRuns: 0,
    lastRun: null,
    lastSuccessAt: null,
    skipped: {},
    ended: {},
    ...more,
  };
}

/** The rows of one run of `daysAgo`, with an end of every kind. */
export function runRows(run: string, daysAgo: number, outcome: Outcome): Rows {
  const at = Date.now() - daysAgo * DAY - HOUR;
  const partition = new Date(at - DAY).toISOString().slice(0, 10);
  const length = 40_000 + ((daysAgo * 37) % 11) * 9000;
  const startedAt = outcome === 'queued' ? null : at + 500;
  const ends = outcome === 'success' || outcome === 'failed';
  const head = runRowOf(
    {
      ...{ run, key: `nightly-rollup/${partition}`, partition, at, queuedAt: at, startedAt },
      ...{ partitionStart: at - 2 * DAY, partitionEnd: at - DAY, tasks: TASKS },
      endedAt: ends ? at + length : null,
      state: outcome,
      parameters: { minRms: 0.2, mode: 'fast' },
      origins: { minRms: 'label site=lyon', mode: 'default' },
      trigger: daysAgo % 5 === 4 ? 'manual' : 'schedule',
      error:
        outcome === 'failed'
          ? { code: 'quality_blocked', class: 'data', message: 'task check: 3 rows lack machine' }
          : null,
      affected: {
        tasks: outcome === 'failed' ? ['share'] : [],
        jobs: outcome === 'failed' ? ['weekly-report'] : [],
      },
    },
    'nightly-rollup',
  );
  if (outcome === 'queued') return [head];
  const task = (
    id: string,
    state: TaskReport['state'],
    from: number,
    to: number | null,
    more: Partial<TaskReport> = {},
  ) =>
    taskRowOf(
      {
        ...{ run, task: id, state, output: null },
        startedAt: state === 'waiting' || state === 'skipped' ? null : at + 500 + from * length,
        endedAt: to === null ? null : at + to * length,
        ...more,
      },
      'nightly-rollup',
    );
  const output = { rowCount: 48, columns: ['machine', 'rms', 'n'], file: 'rollup/day.parquet' };
  const rows = [
    head,
    task('daily', 'success', 0, 0.4, { output }),
    task('machines', 'success', 0.4, 0.45, { output: [1, 2, 3, 4] }),
  ];
  const broken = outcome === 'failed';
  for (let index = 0; index < 4; index += 1) {
    const goesOn = outcome === 'running' && index > 1;
    const end = goesOn ? null : 0.6 + index * 0.08;
    const state = goesOn ? 'running' : 'success';
    rows.push(task('per-machine', state, 0.45 + index * 0.08, end, { index }));
  }
  if (outcome === 'running') return [...rows, task('check', 'running', 0.4, null)];
  const error = { code: 'quality_blocked', class: 'data', message: '3 rows lack machine' };
  return [
    ...rows,
    task('per-machine', 'success', 0.45, 0.9),
    task('check', broken ? 'failed' : 'success', 0.4, 0.55, broken ? { error, attempt: 3 } : {}),
    task('share', broken ? 'upstream_failed' : 'success', 0.9, 1),
    task('complain', broken ? 'success' : 'skipped', 0.55, 0.6),
  ];
}

export class RunSite {
  readonly control: TestControlPlane;
  readonly device: Device;
  readonly browsed: Browsed;

  private constructor(control: TestControlPlane, device: Device, browsed: Browsed) {
    this.control = control;
    this.device = device;
    this.browsed = browsed;
  }

  static async start(job: string = ROLLUP): Promise<RunSite> {
    const control = await TestControlPlane.start();
    onTestFinished(() => control.close());
    const device = await Device.join(control, { name: 'press-1', labels: { site: 'lyon' } });
    onTestFinished(() => device.close());
    await device.beat({ capabilities: CAPABILITIES });
    const applied = await control.post('/jobs', job, {
      headers: { 'content-type': 'application/yaml' },
    });
    if (applied.status >= 300) throw new Error(applied.text);
    const browsed = await openBrowser();
    const site = new RunSite(control, device, browsed);
    await site.signIn();
    return site;
  }

  async signIn(): Promise<void> {
    const link = await this.control.post('/sign-in-links');
    await this.browsed.page.goto(link.json.url as string);
    await this.browsed.page.getByText('Live', { exact: true }).waitFor();
  }

  async beat(batch: BatchReport, intervalMs = 60_000): Promise<void> {
    await this.device.beat({
      ...{ capabilities: CAPABILITIES, sentAt: Date.now(), startedAt: Date.now(), intervalMs },
      observedRevision: 1,
      jobs: [jobReportOf({ name: 'nightly-rollup', batch })],
    });
  }

  async goto(path: string): Promise<void> {
    await this.browsed.page.goto(`${this.control.url}${path}`);
  }
}

const CAPABILITIES = ['stream', 'batch', 'task:value'];
