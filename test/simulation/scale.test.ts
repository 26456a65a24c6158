/**
 * A small fleet of the simulator, whole: `npm run simulate` as a user runs it, with every kind of
 * disturbance; and its audit and milestones against what they must notice.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, describe, it } from 'vitest';
import { bundleTool } from '../support/processes.ts';
import { Audit, type StoredRow } from './scale/audit.ts';
import { valueOf } from './scale/light-outbox.ts';
import { Milestone } from './scale/milestone.ts';
import { PHASES, type Report } from './scale/report.ts';

const run = promisify(execFile);
const script = bundleTool('test/simulation/scale/simulate.ts');

describe('the simulator', () => {
  it('brings a small disturbed fleet through, and every result is stored once', async () => {
    const disturbed = [
      '--drop-outs',
      '20%',
      '--duplicates',
      '30%',
      '--late',
      '20%',
      '--skew',
      '60',
    ];
    const fast = ['--heartbeat', '1', '--results', '0.5', '--seconds', '4'];
    const size = ['--agents', '40', '--workers', '2'];
    const args = [script, ...size, ...fast, ...disturbed, '--json'];
    // It is bounded by itself; a machine that stands still must not keep its processes.
    const { stdout, stderr } = await run(process.execPath, args, { timeout: 150_000 });
    const lines = stdout.split('\n');
    expect(lines, stdout).toHaveLength(2);
    expect(lines[1]).toBe('');
    expect(stderr).toContain('drain');
    const report = JSON.parse(lines[0]!) as Report;
    expect(report.v).toBe(1);
    expect(report.options).toMatchObject({ agents: 40, workers: 2, heartbeat: 1, dropOuts: 0.2 });
    expect(report.converged, stderr).toBe(true);
    expect(report.audit).toMatchObject({ ok: true, missing: 0, twice: 0, altered: 0, foreign: 0 });
    expect(report.audit.sent).toBe(report.audit.stored);
    expect(report.audit.sent).toBeGreaterThanOrEqual(40 * 4);
    const { counters, perSecond } = report.results;
    expect(counters.sentTwice).toBeGreaterThan(0);
    expect(counters.lostAnswers).toBeGreaterThan(0);
    // Each agent came once at the start and once after the storm.
    expect(counters.connects).toBeGreaterThanOrEqual(80 + counters.cuts);
    expect(perSecond).toBeGreaterThan(0);
    expect(Object.keys(report.phases)).toEqual([...PHASES]);
    for (const name of ['enrol', 'connect', 'push', 'update', 'storm'] as const) {
      expect(report.phases[name].reached, name).toMatchObject({
        p50: expect.any(Number),
        p99: expect.any(Number),
        all: expect.any(Number),
        missing: 0,
      });
    }
    const { usage, api } = report.phases.steady;
    expect(usage.control.rssMiB).toBeGreaterThan(10);
    expect(usage.nats.rssMiB).toBeGreaterThan(1);
    expect(usage.control.cpuPercent).toBeGreaterThan(0);
    expect(api.agents).toMatchObject({ p50: expect.any(Number), failed: 0 });
    expect(api.live).toMatchObject({ p50: expect.any(Number), failed: 0 });
  }, 180_000);

  it.each([
    ['--agents', '0', 'whole number'],
    ['--late', '150%', 'share'],
    ['--seconds', 'ten', 'number'],
  ])('refuses %s %s', async (option, value, said) => {
    const failed = run(process.execPath, [script, option, value]);
    await expect(failed).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(said) });
  });
});

describe('the audit', () => {
  const agents = [{ agent: 'a', index: 7, made: [{ epoch: 'e', rows: 3 }] }];
  const row = (seq: number, more: Partial<StoredRow> = {}): StoredRow => ({
    ...{ agent: 'a', epoch: 'e', lane: 'results', seq, value: valueOf(7, seq) },
    ...more,
  });
  const judged = (...rows: StoredRow[]) => {
    const audit = new Audit(agents);
    audit.take(rows);
    return audit.findings();
  };

  it('is content with each row once, in any order', () => {
    expect(judged(row(2), row(1), row(3))).toMatchObject({ ok: true, sent: 3, stored: 3 });
  });

  it.each<[string, StoredRow[], object]>([
    ['a row that was lost', [row(1), row(3)], { missing: 1 }],
    ['a row that is there twice', [row(1), row(2), row(2), row(3)], { twice: 1 }],
    ['one lost and another twice', [row(1), row(1), row(3)], { missing: 1, twice: 1 }],
    ['an altered value', [row(1), row(2), row(3, { value: valueOf(7, 2) })], { altered: 1 }],
    ['a row beyond the last', [row(1), row(2), row(3), row(4)], { foreign: 1 }],
    ['an epoch of nobody', [row(1), row(2), row(3), row(1, { epoch: 'x' })], { foreign: 1 }],
    ['another lane', [row(1), row(2), row(3, { lane: 'bulk' })], { foreign: 1, missing: 1 }],
  ])('notices %s', (_what, rows, found) => {
    expect(judged(...rows)).toMatchObject({ ok: false, ...found });
  });
});

describe('a milestone', () => {
  it('counts each agent at its first moment, from the beginning on', () => {
    const milestone = new Milestone(4, 1000);
    milestone.take(0, 900);
    for (const [agent, at] of [
      [0, 2000],
      [0, 9000],
      [1, 3000],
      [2, 4000],
    ] as const) {
      milestone.take(agent, at);
    }
    expect(milestone.complete).toBe(false);
    expect(milestone.reached()).toEqual({ p50: 2, p99: null, all: null, missing: 1 });
    milestone.take(3, 5000);
    expect(milestone.complete).toBe(true);
    expect(milestone.reached()).toEqual({ p50: 2, p99: 4, all: 4, missing: 0 });
  });
});
