/** Tables and times as people read them. */
import { describe, expect, test } from 'vitest';
import {
  ago,
  instant,
  labelText,
  oneLine,
  properties,
  table,
} from '@runnel/control-plane/cli/table.ts';

describe('a table', () => {
  test('has columns as wide as they need to be, and no spaces at the ends of lines', () => {
    expect(
      table(
        ['A', 'LONGER'],
        [
          ['wide cell', 'x'],
          ['', 'y'],
        ],
      ),
    ).toBe('A          LONGER\nwide cell  x\n           y\n');
  });

  test('is cut to the terminal with an ellipsis', () => {
    expect(table(['A', 'B'], [['name', 'a long value']], 12)).toBe('A     B\nname  a lon…\n');
  });

  test('keeps one row on one line, whatever a cell holds', () => {
    expect(oneLine('a\nb\tc\u001B[2J\u2028')).toBe('a b c [2J ');
  });
});

test.each([
  [null, 'never'],
  [1_000_000, 'now'],
  [988_000, '12s ago'],
  [1_000_000 - 3_600_000 * 3, '3h ago'],
  [1_000_000 + 300_000, 'in 5m'],
  [1_000_000 - 86_400_000 * 40, '40d ago'],
])('%s is %s', (at, text) => {
  expect(ago(at, 1_000_000)).toBe(text);
});

test('instants are ISO 8601 without a fraction of zero; impossible ones are a dash', () => {
  expect(instant(0)).toBe('1970-01-01T00:00:00Z');
  expect(instant(5)).toBe('1970-01-01T00:00:00.005Z');
  expect(instant(null)).toBe('-');
  expect(instant(1e18)).toBe('-');
});

test('labels and properties', () => {
  expect(labelText({ a: 'b', c: 'd' })).toBe('a=b,c=d');
  expect(labelText({})).toBe('-');
  expect(
    properties([
      ['Name', 'x'],
      ['Version', ''],
    ]),
  ).toBe('Name:     x\nVersion:\n');
});
