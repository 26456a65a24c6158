import { describe, expect, test } from 'vitest';
import { appendHost, usedPercent } from '@runnel/control-plane/dashboard/charts/host-history.ts';
import {
  alignSeries,
  latestResults,
  mergeResults,
  numericColumns,
  RESULTS_MAX,
  SERIES_MAX,
  seriesOf,
} from '@runnel/control-plane/dashboard/charts/result-series.ts';
import type { HostPoint } from '@runnel/control-plane/http/live-messages.ts';
import { sampleResult } from './sample-agent.ts';

const names = { agentName: (id: string) => `name of ${id}` };

describe('results on the page', () => {
  test('a row that comes by API and by websocket counts once', () => {
    const row = sampleResult({ seq: 1 });
    expect(mergeResults([row], [row])).toHaveLength(1);
  });

  test('of a window only the highest revision stays, in whatever order they come', () => {
    const first = sampleResult({ seq: 1, revision: 1 });
    const second = sampleResult({ seq: 2, revision: 2 });
    expect(mergeResults([first], [second])).toEqual([second]);
    expect(mergeResults([second], [first])).toEqual([second]);
  });

  test('a retracted window is shown nowhere', () => {
    const rows = mergeResults(
      [sampleResult({ seq: 1 })],
      [sampleResult({ seq: 2, revision: 2, value: null })],
    );
    expect(latestResults(rows, 10)).toEqual([]);
    expect(seriesOf(rows, 'n', names).total).toBe(0);
  });

  test('results without windows are records of their own, not revisions of each other', () => {
    const bare = { windowStart: null, windowEnd: null };
    const rows = [
      sampleResult({ seq: 1, ...bare }),
      sampleResult({ seq: 2, ...bare, value: null }),
    ];
    expect(mergeResults([], rows)).toHaveLength(2);
    expect(latestResults(rows, 10)).toHaveLength(2);
  });

  test('what the page holds is bounded; the oldest go first', () => {
    const rows = Array.from({ length: RESULTS_MAX + 5 }, (_, index) =>
      sampleResult({ seq: index + 1, windowStart: index, windowEnd: index + 1 }),
    );
    const kept = mergeResults([], rows);
    expect(kept).toHaveLength(RESULTS_MAX);
    expect(kept[0]?.seq).toBe(6);
  });

  test('only columns that hold numbers can be drawn; a bare number is one too', () => {
    expect(
      numericColumns([
        sampleResult({ seq: 1, value: { state: 'on', n: 1 } }),
        sampleResult({ seq: 2, value: 4 }),
        sampleResult({ seq: 3, value: null }),
      ]),
    ).toEqual(['n', 'value']);
  });

  test('a chart shows at most eight series and says how many there are', () => {
    const rows = Array.from({ length: 20 }, (_, index) =>
      sampleResult({ seq: index + 1, key: `m-${index + 1}` }),
    );
    const { shown, total } = seriesOf(rows, 'n', names);
    expect(total).toBe(20);
    expect(shown).toHaveLength(SERIES_MAX);
    expect(shown.map(({ label }) => label).slice(0, 3)).toEqual(['m-1', 'm-2', 'm-3']);
    expect(seriesOf(rows, 'n', { ...names, search: 'm-20' }).total).toBe(1);
  });

  test('the same key on two devices is two series', () => {
    const rows = [sampleResult({ seq: 1 }), sampleResult({ seq: 1, agent: 'b' })];
    expect(seriesOf(rows, 'n', names).shown.map(({ label }) => label)).toEqual([
      'k · name of a',
      'k · name of b',
    ]);
  });

  test('series share one time axis; where one has no value there is a gap, not a zero', () => {
    const { times, values } = alignSeries([
      {
        label: 'a',
        points: [
          [1, 10],
          [3, 30],
        ],
      },
      { label: 'b', points: [[2, 20]] },
    ]);
    expect(times).toEqual([1, 2, 3]);
    expect(values).toEqual([
      [10, undefined, 30],
      [undefined, 20, undefined],
    ]);
  });

  test('a pause is a gap in its own line, however busy the others are', () => {
    const every = (from: number, to: number): [number, number][] =>
      Array.from({ length: (to - from) / 10 + 1 }, (_, index) => [from + index * 10, index]);
    const { times, values } = alignSeries([
      { label: 'pauses', points: [...every(0, 30), ...every(90, 110)] },
      { label: 'goes on', points: every(0, 110) },
    ]);
    expect(times).toEqual(every(0, 110).map(([at]) => at));
    expect(values[0]).toEqual([0, 1, 2, 3, null, ...Array(4).fill(undefined), 0, 1, 2]);
    expect(values[1]).not.toContain(null);
  });
});

describe('readings of the host', () => {
  const point = (at: number): HostPoint => ({
    at,
    cpuPercent: 1,
    memoryUsedBytes: null,
    memoryTotalBytes: null,
    diskUsedBytes: null,
    diskTotalBytes: null,
    temperatureCelsius: null,
    load1: null,
    agentRssBytes: null,
    agentCpuPercent: null,
  });

  test('are appended in order, and the same reading only once', () => {
    const known = appendHost([], [point(2), point(1)]);
    expect(appendHost(known, [point(2), point(3)]).map(({ at }) => at)).toEqual([1, 2, 3]);
  });

  test('a part of an unknown total is unknown, not zero', () => {
    expect(usedPercent(5, null)).toBeNull();
    expect(usedPercent(5, 0)).toBeNull();
    expect(usedPercent(5, 10)).toBe(50);
  });
});
