import { describe, expect, test } from 'vitest';
import {
  columnFormat,
  formatBytes,
  formatCell,
  formatCount,
  formatValue,
} from '@runnel/control-plane/dashboard/format/amount.ts';
import {
  formatAgo,
  formatDuration,
  formatTimestamp,
  formatWindow,
} from '@runnel/control-plane/dashboard/format/time.ts';
import { parseLabels } from '@runnel/control-plane/dashboard/fleet/label-input.ts';
import { newDevices } from '@runnel/control-plane/dashboard/fleet/new-devices.ts';
import { parseRoute, paths } from '@runnel/control-plane/dashboard/router.ts';
import { sampleAgent } from './sample-agent.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('times', () => {
  test.each([
    [0, '0 ms'],
    [950, '950 ms'],
    [4200, '4.2 s'],
    [59_999, '59 s'],
    [12 * MINUTE, '12 min'],
    [3 * HOUR + 5 * MINUTE, '3 h 05 min'],
    [2 * DAY + 4 * HOUR, '2 d 4 h'],
    [40 * DAY + HOUR, '40 d'],
    [-5, '0 ms'],
    [Number.NaN, '–'],
  ])('%d ms last %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test.each([
    [0, 'just now'],
    [59_000, '59 s ago'],
    [47 * HOUR, '47 h ago'],
    [3 * DAY, '3 d ago'],
    [-20_000, 'just now'],
    [-5 * MINUTE, 'in 5 min'],
  ])('%d ms before now reads %s', (ms, text) => {
    expect(formatAgo(1e12, 1e12 - ms)).toBe(text);
  });

  test('no time at all is never', () => {
    expect(formatAgo(1e12, null)).toBe('never');
  });

  test('a moment is written year first, in local time', () => {
    const at = new Date(2026, 10, 2, 4, 5, 6).getTime();
    expect(formatTimestamp(at)).toBe('2026-11-02 04:05:06');
  });

  test('a window names its day once, and not at all when that is today', () => {
    const start = new Date(2026, 10, 2, 4, 5, 0).getTime();
    const end = start + 10_000;
    expect(formatWindow(start, end, start + 3 * DAY)).toBe('2026-11-02 04:05:00 – 04:05:10');
    expect(formatWindow(start, end, start + HOUR)).toBe('04:05:00 – 04:05:10');
    expect(formatWindow(start, start + DAY, start)).toContain('2026-11-03 04:05:00');
    expect(formatWindow(null, null, start)).toBe('–');
  });
});

describe('amounts', () => {
  test('bytes are counted in powers of 1024', () => {
    expect([0, 512, 1536, 123_456_789, 5e13, null].map(formatBytes)).toEqual([
      '0 B',
      '512 B',
      '1.5 KiB',
      '118 MiB',
      '45.5 TiB',
      '–',
    ]);
  });

  test('thousands are set apart by thin spaces', () => {
    expect(formatCount(18_421_733)).toBe('18\u2009421\u2009733');
    expect(formatCount(-1200)).toBe('−1\u2009200');
    expect(formatCount(999)).toBe('999');
  });

  test('measured values keep five digits', () => {
    expect([0.123456789, 1234.5678, 1e12 + 0.5, 0.00001].map(formatValue)).toEqual([
      '0.12346',
      '1234.6',
      '1.000e+12',
      '1.000e-5',
    ]);
  });

  test('the points of a column line up', () => {
    const write = columnFormat([0.5, 0.59876, -0.25]);
    expect([0.5, 0.59876, -0.25, null].map(write)).toEqual(['0.50000', '0.59876', '−0.25000', '–']);
    expect(columnFormat([95, 101])(95)).toBe('95');
  });

  test('any value has one line; markup in it stays text', () => {
    expect(formatCell({ a: 1 })).toBe('{"a":1}');
    expect(formatCell('<b>')).toBe('<b>');
    expect(formatCell(null)).toBe('–');
  });
});

describe('labels as typed', () => {
  test('commas and spaces part them; none at all is fine', () => {
    expect(parseLabels('site=lyon, role=press')).toEqual({
      ok: true,
      labels: { site: 'lyon', role: 'press' },
    });
    expect(parseLabels('  ')).toEqual({ ok: true, labels: {} });
  });

  test.each(['lyon', '=x', 'a=b=c', 'a=1,a=2', 'bad key!=1', `a=${'x'.repeat(64)}`, '-a=1'])(
    '%s is refused, and what to write is said',
    (text) => {
      expect(parseLabels(text)).toMatchObject({ ok: false, error: expect.stringMatching(/.{8,}/) });
    },
  );

  test('a key that an object has by itself is a label like any other', () => {
    expect(parseLabels('constructor=1')).toEqual({ ok: true, labels: { constructor: '1' } });
  });
});

describe('devices that came after a command was made', () => {
  test('are those unknown before that carry the labels of its token', () => {
    const old = sampleAgent({ id: 'old', labels: { site: 'lyon' } });
    const fits = sampleAgent({ id: 'fits', labels: { site: 'lyon', line: '2' } });
    const other = sampleAgent({ id: 'other', labels: { site: 'graz' } });
    const found = newDevices([old, fits, other], new Set(['old']), { site: 'lyon' });
    expect(found.map(({ id }) => id)).toEqual(['fits']);
  });
});

describe('addresses', () => {
  test('every page has one, and names come through whatever is in them', () => {
    expect(parseRoute(paths.overview)).toEqual({ page: 'overview' });
    expect(parseRoute(paths.devices)).toEqual({ page: 'devices' });
    expect(parseRoute(paths.addDevice)).toEqual({ page: 'addDevice' });
    expect(parseRoute(paths.device('a/b c'))).toEqual({ page: 'device', id: 'a/b c' });
    expect(parseRoute(paths.job('nightly'))).toEqual({
      page: 'job',
      name: 'nightly',
      tab: 'results',
    });
  });

  test('an unknown or broken one is "not found", never an exception', () => {
    expect(parseRoute('/no/such/page').page).toBe('notFound');
    expect(parseRoute('/%E0%A4%A').page).toBe('notFound');
  });
});
