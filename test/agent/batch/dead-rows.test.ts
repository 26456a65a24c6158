/** What a task keeps of the rows that it could not take. */
import { expect, it } from 'vitest';
import { DeadRows } from '@runnel/agent/batch/data/dead-rows.ts';
import { limits } from '@runnel/shared/limits.ts';

const text = (bytes: number): string => 'x'.repeat(bytes);

it('the first rows are kept, by number and by bytes, and all are counted', () => {
  const many = new DeadRows();
  for (let n = 0; n < limits.taskDeadRowsMax + 5; n++) many.add('bad', 'is bad', n);
  expect(many.kept).toHaveLength(limits.taskDeadRowsMax);
  expect(many.count).toBe(limits.taskDeadRowsMax + 5);
  const large = new DeadRows();
  for (let n = 0; n < 20; n++) large.add('bad', 'is bad', text(limits.taskDeadRowsBytesMax / 10));
  // Nothing later takes the place of one that was left out.
  large.add('bad', 'is bad', 'small');
  expect(large.kept).toHaveLength(9);
  expect(large.count).toBe(21);
});

it('what is taken back makes room again', () => {
  const rows = new DeadRows();
  rows.add('bad', 'is bad', 1);
  rows.add('bad', 'is bad', text(limits.taskDeadRowsBytesMax - 100));
  rows.forgetSince(1);
  rows.add('bad', 'is bad', text(limits.taskDeadRowsBytesMax - 200));
  expect(rows.kept).toHaveLength(2);
  expect(rows.count).toBe(2);
});
