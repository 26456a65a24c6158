/** What the parts of a job's page show: differences, batches, promises, strips, rates. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RolloutAgentItem } from '@runnel/control-plane/http/rollout-messages.ts';
import {
  addReading,
  ratesOf,
  type WorkReading,
} from '@runnel/control-plane/dashboard/fleet/work-history.ts';
import { comparedVersions } from '@runnel/control-plane/dashboard/jobs/compared-versions.ts';
import { type DiffLine, diffTexts } from '@runnel/control-plane/dashboard/jobs/line-diff.ts';
import { batchViews } from '@runnel/control-plane/dashboard/jobs/rollout-batches.ts';
import { rolloutActions } from '@runnel/control-plane/dashboard/jobs/rollout-words.ts';
import { stripPieces } from '@runnel/control-plane/dashboard/slas/history-strip.ts';
import {
  budgetOf,
  formatShare,
  pageOf,
  promiseRows,
  ROWS_A_PAGE,
  withCompliance,
} from '@runnel/control-plane/dashboard/slas/promises.ts';
import { sampleCompliance, sampleRollout, sampleSla } from './sample-fleet.ts';

describe('the difference of two versions', () => {
  const side = (lines: readonly DiffLine[], kind: 'added' | 'removed'): string[] =>
    lines.filter((line) => line.kind === 'same' || line.kind === kind).map(({ text }) => text);

  test('holds both texts whole, whatever they are', () => {
    const text = fc.array(fc.constantFrom('a', 'b', '  c', ''), { maxLength: 12 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const [a, b] = [before, after].map((lines) => lines.map((line) => `${line}\n`).join(''));
        const { parts } = diffTexts(a ?? '', b ?? '');
        const lines = parts.flatMap((part) => part.lines);
        expect(side(lines, 'removed')).toEqual(before);
        expect(side(lines, 'added')).toEqual(after);
      }),
    );
  });

  test('folds what is the same and far from any change', () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);
    const { parts, added, removed } = diffTexts(
      lines.join('\n'),
      lines.with(20, 'changed').join('\n'),
    );
    expect({ added, removed }).toEqual({ added: 1, removed: 1 });
    expect(parts.map(({ kind, lines: own }) => [kind, own.length])).toEqual([
      ['fold', 17],
      ['lines', 8],
      ['fold', 6],
    ]);
  });

  test('is of the newest two unless the address says which', () => {
    expect(comparedVersions('', [3, 2, 1])).toEqual({ from: 2, to: 3 });
    expect(comparedVersions('?to=2', [3, 2, 1])).toEqual({ from: 1, to: 2 });
    expect(comparedVersions('?from=3&to=1', [3, 2, 1])).toEqual({ from: 3, to: 1 });
    expect(comparedVersions('?from=9', [3, 2, 1])).toEqual({ from: 2, to: 3 });
    expect(comparedVersions('', [1])).toBeNull();
  });
});

describe('the batches of a rollout', () => {
  const device = (batch: number, state: RolloutAgentItem['state']): RolloutAgentItem => ({
    ...{ agent: `${batch}${state}`, name: 'x', connection: 'online', batch, state },
    ...{ version: 1, desiredVersion: 2, reason: '' },
  });

  test('are through up to the one that waits for approval', () => {
    const rollout = sampleRollout({ phase: 'awaitingApproval', batch: { n: 1, of: 3 } });
    const views = batchViews(rollout, [device(1, 'updated'), device(2, 'pending')]);
    expect(views.map(({ state, updated, of }) => [state, updated, of])).toEqual([
      ['done', 1, 1],
      ['waiting', 0, 1],
      ['next', 0, 0],
    ]);
  });

  test('that were not reached stay so when it ended', () => {
    const rollout = sampleRollout({ phase: 'rolledBack', batch: { n: 2, of: 3 } });
    const views = batchViews(rollout, []);
    expect(views.map(({ state }) => state)).toEqual(['done', 'stopped', 'stopped']);
  });

  test('are approved only when that is what is waited for, undone only to a good version', () => {
    expect(rolloutActions(sampleRollout({ phase: 'awaitingApproval' }))).toContain('approve');
    expect(rolloutActions(sampleRollout({ phase: 'progressing' }))).not.toContain('approve');
    expect(rolloutActions(sampleRollout({ phase: 'succeeded', from: null }))).toEqual([]);
    expect(rolloutActions(sampleRollout({ phase: 'rolledBack' }))).toEqual([]);
  });
});

describe('promises', () => {
  test('are seen page by page, every one on exactly one page, whatever page is asked for', () => {
    const items = Array.from({ length: 3 * ROWS_A_PAGE + 1 }, (_, n) =>
      sampleSla({ job: `j${n}` }),
    );
    const rows = promiseRows(items);
    const { pages } = pageOf(rows, 1);
    const all = Array.from({ length: pages }, (_, at) => pageOf(rows, at + 1).rows).flat();
    expect(all).toEqual(rows);
    for (const wanted of [0, -1, Number.NaN, 1e9, Infinity, 1.5]) {
      expect(pageOf(rows, wanted).rows.length, String(wanted)).toBeGreaterThan(0);
    }
    expect(pageOf([], 7)).toEqual({ rows: [], page: 1, pages: 1 });
  });

  test('are one row for all their devices, the worst verdict first', () => {
    const rows = withCompliance(
      promiseRows([
        sampleSla({ agent: 'a', verdict: 'met' }),
        sampleSla({ agent: 'b', verdict: 'unreachable', deviceVerdict: 'met' }),
        sampleSla({ agent: 'b', sla: 'fast', verdict: 'breached' }),
        sampleSla({ agent: 'a', sla: 'fast', verdict: 'met' }),
      ]),
      [sampleCompliance(), sampleCompliance({ agent: 'b', sla: 'fast', compliance: 0.5 })],
    );
    expect(rows.map(({ sla, worst }) => [sla, worst])).toEqual([
      ['fast', 'breached'],
      ['fresh', 'unreachable'],
    ]);
    expect(rows[0]?.devices.map(({ name }) => name)).toEqual(['a', 'a']);
    expect(rows[0]?.devices[0]?.compliance?.compliance).toBe(0.5);
    expect(rows[1]?.compliance?.compliance).toBe(0.999);
    expect(rows[1]?.counts).toEqual({ met: 1, atRisk: 0, breached: 0, unreachable: 1 });
  });

  test('that nearly kept all are never rounded up to all', () => {
    expect(formatShare(0.99999)).toBe('99.999 %');
    expect(formatShare(0.9999999)).toBe('99.999 %');
    expect(formatShare(1)).toBe('100 %');
    expect(formatShare(0.7777)).toBe('77.7 %');
    expect(formatShare(null)).toBe('–');
  });

  test('that overspent their budget say by how much', () => {
    expect(budgetOf(sampleCompliance({ budgetLeft: -0.76 }))).toEqual({
      ...{ left: 0, overspent: true, text: 'overspent by 76 %' },
    });
    expect(budgetOf(sampleCompliance({ budgetLeft: -30.73 }))?.text).toBe('spent 32 times over');
    expect(budgetOf(sampleCompliance({ budgetLeft: null }))).toBeNull();
  });

  test('that were broken for a moment have a piece of the strip that can be seen', () => {
    const interval = { job: 'j', agent: 'a', sla: 'fresh', cause: '', judge: 'device' } as const;
    const pieces = stripPieces(
      [
        { ...interval, verdict: 'met', from: -500, to: 999 },
        { ...interval, verdict: 'breached', from: 999, to: 1000 },
        { ...interval, verdict: 'met', from: 2000, to: null },
      ],
      0,
      1000,
    );
    expect(pieces.map(({ verdict, left, width }) => [verdict, left, width])).toEqual([
      ['met', 0, 0.999],
      ['breached', 0.996, 0.004],
    ]);
  });
});

describe('the rates of a job', () => {
  const reading = (at: number, recordsIn: number): WorkReading => ({
    at,
    jobs: { j: { recordsIn, recordsOut: 0, lag: 0, errors: 0 } },
  });

  test('are of the time between two heartbeats', () => {
    expect(ratesOf([reading(0, 100), reading(10_000, 350)], 'j').in).toBe(25);
  });

  test('are not known after the agent began anew, nor of one reading', () => {
    expect(ratesOf([reading(0, 100)], 'j').in).toBeNull();
    expect(ratesOf([reading(0, 100), reading(10_000, 3)], 'j').in).toBeNull();
  });

  test('take a heartbeat once, however often the page hears of it', () => {
    const one = addReading([], { lastSeenAt: 5, jobs: [] });
    expect(addReading(one, { lastSeenAt: 5, jobs: [] })).toBe(one);
  });
});
