/** What a batch job may take of a device, and when: `share` and `cheapWindow`. */
import { describe, expect, test } from 'vitest';
import { batchJob, HEAD, issuesOf, TASK } from './batch-documents.ts';

test('a share and a cheap window are read, the hours by the clock of the schedule', () => {
  const job = batchJob(`${HEAD}${TASK}schedule: { every: 1d, timezone: Europe/Paris }
share: { cpu: 50%, memory: 640MiB }
cheapWindow: { hours: "22:00-06:00", power: mains, network: unmetered }
`);
  expect(job.share).toEqual({ cpu: { part: 0.5 }, memory: { amount: 640 * 1024 * 1024 } });
  const cheap = {
    power: 'mains',
    network: 'unmetered',
    waitAtMostMs: 86_400_000,
    otherwise: 'run',
  };
  const hours = { from: 22 * 60, to: 6 * 60, timezone: 'Europe/Paris' };
  expect(job.cheapWindow).toEqual({ ...cheap, hours });
  const plain = batchJob(`${HEAD}${TASK}`);
  expect([plain.share, plain.cheapWindow]).toEqual([null, null]);
});

describe('a mistake in them', () => {
  test.each([
    ['share: {}', 'share', 'bounds nothing'],
    ['share: { cpu: half }', 'share.cpu', '0.5 or 50%'],
    ['share: { memory: 64 }', 'share.memory', '64MiB or 25%'],
    ['share: { cpu: 1, mem: 1 }', 'share.mem', 'did you mean'],
    ['cheapWindow: {}', 'cheapWindow', 'is always open'],
    ['cheapWindow: { hours: night }', 'cheapWindow.hours', '22:00-06:00'],
    ['cheapWindow: { hours: "22:00-24:01" }', 'cheapWindow.hours', 'is no span'],
    ['cheapWindow: { hours: "24:00-06:00" }', 'cheapWindow.hours', 'is no span'],
    ['cheapWindow: { hours: "00:00-24:00" }', 'cheapWindow.hours', 'is the whole day'],
    ['cheapWindow: { hours: "06:00-06:00" }', 'cheapWindow.hours', 'is empty'],
    ['cheapWindow: { power: mains, timezone: UTC }', 'cheapWindow.timezone', 'is for hours'],
    ['cheapWindow: { power: battery }', 'cheapWindow.power', 'mains'],
    ['cheapWindow: { network: wifi }', 'cheapWindow.network', 'unmetered'],
  ])('%s is refused', (body, path, message) => {
    const issues = issuesOf(`${HEAD}${TASK}${body}\n`);
    expect(issues, JSON.stringify(issues)).toHaveLength(1);
    expect(issues[0]?.path).toBe(path);
    expect(`${issues[0]?.message} ${issues[0]?.hint}`).toContain(message);
    expect(issues[0]?.line).toBe(5);
  });
});

test('a task that takes more alone than the share of its job is refused', () => {
  const big = 'tasks: [{ id: a, cost: { cpu: 0.5, memory: 100MiB }, value: { value: 1 } }]';
  const issues = issuesOf(`${HEAD}${big}\nshare: { cpu: 0.4, memory: 64MiB }\n`);
  expect(issues.map(({ path }) => path)).toEqual(['tasks[0].cost.cpu', 'tasks[0].cost.memory']);
  expect(issues[0]?.message).toContain('more alone than the share of its job');
  // How much a part is, only the device can tell.
  expect(issuesOf(`${HEAD}${big}\nshare: { cpu: 10%, memory: 1% }\n`)).toEqual([]);
});
