/** That the contract of tasks bites, and that no kind goes without it. */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tasks as taskSpecs } from '@runnel/shared/definitions/tasks/registry.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { defineTaskRunner, type TaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import { ifThere } from '../support/if-there.ts';
import { type TaskSite, taskSite } from '../support/task-context.ts';
import { expectNothingBegun, expectOneEffect, type TaskSetup } from './task-contract.ts';

const TESTS = join(import.meta.dirname, '..');

it('every kind of task is held by the contract once', () => {
  const held = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .flatMap((path) => [
      ...readFileSync(join(TESTS, path), 'utf8').matchAll(/^taskContract\(\{\s+kind: '(\w+)'/gm),
    ])
    .map(([, kind]) => String(kind))
    .toSorted();
  expect(held).toEqual(taskSpecs.map(({ kind }) => kind).toSorted());
  expect(held).toEqual(taskRunners.map(({ kind }) => kind).toSorted());
});

describe('the contract finds a task', () => {
  const planted = (run: (target: string, signal: AbortSignal) => unknown) => {
    const site = taskSite();
    const target = join(site.dataDir, 'effect');
    const runner = defineTaskRunner({
      kind: 'value',
      run: async (_config, { signal }) => ({ output: String(run(target, signal)) }),
    });
    return { site: withRunner(site, runner), setup: setupOf(site, target) };
  };

  it('that has its effect twice', async () => {
    const { site, setup } = planted((target) => appendFileSync(target, 'x'));
    await expect(expectOneEffect(site, setup)).rejects.toThrow('to deeply equal');
  });

  it('that has none where it should', async () => {
    const { site, setup } = planted(() => 'nothing');
    await expect(expectOneEffect(site, setup)).rejects.toThrow('it has an effect');
  });

  it('that gives another thing the second time', async () => {
    let calls = 0;
    const { site, setup } = planted((target) => {
      writeFileSync(target, 'x');
      return (calls += 1);
    });
    await expect(expectOneEffect(site, setup)).rejects.toThrow('to deeply equal');
  });

  it('that goes on although it was told to end', async () => {
    const { site, setup } = planted((target) => writeFileSync(target, 'x'));
    await expect(expectNothingBegun(site, setup)).rejects.toThrow('what has effects fails');
  });

  it('that ends with its reason and had its effect all the same', async () => {
    const { site, setup } = planted((target, signal) => {
      writeFileSync(target, 'x');
      signal.throwIfAborted();
    });
    await expect(expectNothingBegun(site, setup)).rejects.toThrow('to deeply equal');
  });

  it('that does it well, to be well', async () => {
    const { site, setup } = planted((target, signal) => {
      signal.throwIfAborted();
      writeFileSync(target, 'x');
    });
    await expectNothingBegun(site, setup);
    await expectOneEffect(site, setup);
  });
});

function withRunner(site: TaskSite, runner: TaskRunner): TaskSite {
  site.runners = [runner];
  return site;
}

function setupOf(site: TaskSite, target: string): TaskSetup {
  const program = site.program({ tasks: [{ id: 't', value: { value: 1 } }] });
  return { program, task: 't', effects: () => ifThere(target)?.toString() };
}
