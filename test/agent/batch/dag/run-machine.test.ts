import { describe, expect, it } from 'vitest';
import { affectedTasks } from '@runnel/agent/batch/dag/run-snapshot.ts';
import { limits } from '@runnel/shared/limits.ts';
import { NOW, programOf } from './program-of.ts';
import { RunDriver } from './run-driver.ts';

const listOf = (length: number): number[] => Array.from({ length }, (_, at) => at);

describe('a run', () => {
  it('goes along its tasks and succeeds with its leaves', () => {
    const run = RunDriver.started(programOf({ a: {}, b: { needs: ['a'] } }));
    expect(run.ready).toEqual(['a']);
    run.run('a');
    expect(run.ready).toEqual(['b']);
    run.run('b');
    expect(run.ended).toEqual(['success']);
    expect(run.state.run).toMatchObject({ state: 'success', startedAt: NOW, endedAt: NOW });
  });

  it('runs nothing behind a failure, names the cause and who was affected', () => {
    const run = RunDriver.started(
      programOf({ a: {}, b: { needs: ['a'] }, c: { needs: ['b'] }, d: {} }),
    );
    run.breakDown('a').run('d');
    expect(run.states).toMatchObject({ b: 'upstream_failed', c: 'upstream_failed' });
    expect(run.ended).toEqual(['failed']);
    expect(affectedTasks(run.state)).toEqual(['b', 'c']);
    expect(run.state.run.error).toEqual({
      code: 'broken',
      class: 'other',
      message: 'task "a": it broke',
    });
  });

  it('succeeds when the failure is no leaf and its leaf ran', () => {
    const run = RunDriver.started(
      programOf({ a: {}, tell: { needs: ['a'], trigger: 'one_failed' } }),
    );
    run.breakDown('a').run('tell');
    expect(run.ended).toEqual(['success']);
  });

  it('is over at once when no task has work', () => {
    const run = new RunDriver(programOf({ a: { empty: true }, b: { empty: true, needs: ['a'] } }));
    const { changed } = run.send({ kind: 'start' });
    expect(run.ended).toEqual(['success']);
    expect(changed.map(({ task, attempt }) => [task, attempt])).toEqual([
      ['a', 0],
      ['b', 0],
    ]);
  });

  it('starts a task with an early rule before its other upstreams are done', () => {
    const run = RunDriver.started(
      programOf({
        a: {},
        slow: {},
        first: { needs: ['a', 'slow'], trigger: 'one_success' },
        now: { needs: ['a', 'slow'], trigger: 'always' },
      }),
    );
    expect(run.ready).toEqual(['a', 'slow', 'now']);
    run.run('a');
    expect(run.ready).toEqual(['slow', 'first', 'now']);
  });
});

describe('a condition', () => {
  it('that is false skips the task, and by their rules what is behind it', () => {
    const run = RunDriver.started(
      programOf({
        a: { when: () => false },
        b: { needs: ['a'] },
        c: { needs: ['a'], trigger: 'none_failed' },
      }),
    );
    expect(run.states).toMatchObject({ a: 'skipped', b: 'skipped', c: 'ready' });
    run.run('c');
    expect(run.ended).toEqual(['success']);
  });

  it('sees what earlier tasks gave', () => {
    const run = RunDriver.started(
      programOf({ a: {}, b: { needs: ['a'], when: ({ tasks }) => tasks.a?.output === 7 } }),
    );
    run.run('a', 7);
    expect(run.ready).toEqual(['b']);
  });

  it('that throws fails the task and is not tried again', () => {
    const program = programOf({
      a: {
        retry: { attempts: 5 },
        when: () => {
          throw new Error('no such key');
        },
      },
    });
    const run = RunDriver.started(program);
    expect(run.ended).toEqual(['failed']);
    expect(run.record('a').error?.message).toBe('no such key');
  });

  it('is judged for each item of a forEach', () => {
    const run = RunDriver.started(
      programOf({ a: { forEach: () => [1, 2, 3], when: ({ item }) => item !== 2 } }),
    );
    expect(run.ready).toEqual(['a[0]', 'a[2]']);
    run.run('a[0]').run('a[2]');
    expect(run.states).toEqual({ a: 'success' });
  });
});

describe('a branch', () => {
  const sketch = {
    pick: {
      branch: ({ tasks }: { tasks: Record<string, { output: unknown }> }) =>
        tasks.pick?.output as string[],
    },
    left: { needs: ['pick'] },
    right: { needs: ['pick'] },
    join: { needs: ['left', 'right'], trigger: 'none_failed_min_one_success' },
  } as const;

  it('skips the dependents that it did not choose, and a join goes on', () => {
    const run = RunDriver.started(programOf(sketch));
    run.run('pick', ['left']);
    expect(run.states).toMatchObject({ left: 'ready', right: 'skipped' });
    expect(run.record('pick').chosen).toEqual(['left']);
    run.run('left').run('join');
    expect(run.ended).toEqual(['success']);
  });

  it('that chose nothing skips all of them', () => {
    const run = RunDriver.started(programOf(sketch));
    run.run('pick', []);
    expect(run.states).toMatchObject({ left: 'skipped', right: 'skipped', join: 'skipped' });
    expect(run.ended).toEqual(['success']);
  });

  it('that names no dependent fails its task, with what was meant', () => {
    const run = RunDriver.started(programOf(sketch));
    run.run('pick', ['lefd']);
    expect(run.record('pick').state).toBe('failed');
    expect(run.record('pick').error?.message).toContain('did you mean "left"?');
    expect(run.ended).toEqual(['failed']);
  });

  it('is remembered when only one of its dependents runs again', () => {
    const run = RunDriver.started(programOf(sketch));
    run.run('pick', ['left']).run('left').run('join');
    run.send({ kind: 'rerun', from: 'right' });
    run.send({ kind: 'start' });
    expect(run.states).toMatchObject({ pick: 'success', left: 'success', right: 'skipped' });
  });

  it('holds back a dependent whose rule would let it start before', () => {
    const run = RunDriver.started(
      programOf({
        ...sketch,
        other: {},
        left: { needs: ['pick', 'other'], trigger: 'one_success' },
      }),
    );
    run.run('other');
    expect(run.states.left).toBe('waiting');
    run.run('pick', ['right']);
    expect(run.states.left).toBe('skipped');
  });
});

describe('a task with forEach', () => {
  const program = programOf({
    list: {},
    each: { needs: ['list'], from: ['list'], forEach: ({ tasks }) => tasks.list?.output as never },
    join: { needs: ['each'] },
  });

  it('has an instance for each item, and its output is the list of theirs', () => {
    const seen: unknown[] = [];
    const run = RunDriver.started(
      programOf({
        each: { forEach: () => ['x', 'y'] },
        join: { needs: ['each'], when: ({ tasks }) => seen.push(tasks.each) > 0 },
      }),
    );
    expect(run.record('each[1]')).toMatchObject({ item: 'y', index: 1, state: 'ready' });
    run.run('each[1]', 'second').run('each[0]', 'first').run('join');
    expect(seen).toEqual([{ state: 'success', output: ['first', 'second'] }]);
    expect(run.ended).toEqual(['success']);
  });

  it('runs no more of them at a time than parallel says', () => {
    const run = RunDriver.started(programOf({ a: { forEach: () => [1, 2, 3], parallel: 2 } }));
    expect(run.ready).toEqual(['a[0]', 'a[1]']);
    run.begin('a[0]');
    expect(run.ready).toEqual(['a[1]']);
    run.begin('a[1]');
    expect(run.ready).toEqual([]);
    run.succeed('a[0]');
    expect(run.ready).toEqual(['a[2]']);
  });

  it('is skipped when the list is empty', () => {
    const run = RunDriver.started(program);
    run.run('list', []);
    expect(run.states).toMatchObject({ each: 'skipped', join: 'skipped' });
    expect(run.ended).toEqual(['success']);
  });

  it(`fails the task that made the list beyond ${limits.forEachItemsMax} items`, () => {
    const run = RunDriver.started(program);
    run.run('list', listOf(limits.forEachItemsMax + 1));
    expect(run.record('list')).toMatchObject({ state: 'failed', output: null });
    expect(run.record('list').error?.code).toBe('for_each_too_long');
    expect(run.states.each).toBe('upstream_failed');
  });

  it('fails itself when nobody made the list that is too long', () => {
    const run = RunDriver.started(
      programOf({ a: { forEach: () => listOf(limits.forEachItemsMax + 1) } }),
    );
    expect(run.record('a').error?.code).toBe('for_each_too_long');
    expect(run.ended).toEqual(['failed']);
  });

  it('takes a list of just that length', () => {
    const run = RunDriver.started(program);
    run.run('list', listOf(limits.forEachItemsMax));
    expect(run.ready).toHaveLength(limits.forEachItemsMax);
  });

  it('fails with what it got when that is no list', () => {
    const run = RunDriver.started(program);
    run.run('list', 'x');
    expect(run.record('each').error?.message).toBe(
      'forEach of "each" needs a list, and got: string',
    );
    expect(run.states.list).toBe('success');
  });

  it('waits for what its list is made of, whatever its rule', () => {
    const run = RunDriver.started(
      programOf({
        list: {},
        quick: {},
        each: {
          needs: ['list', 'quick'],
          trigger: 'one_success',
          from: ['list'],
          forEach: ({ tasks }) => tasks.list?.output as never,
        },
      }),
    );
    run.run('quick');
    expect(run.states.each).toBe('waiting');
    run.run('list', [1]);
    expect(run.ready).toEqual(['each[0]']);
  });

  it('that failed for an item goes on from that item alone', () => {
    const run = RunDriver.started(program);
    run.run('list', [1, 2, 3]).run('each[0]', 'a').breakDown('each[1]').run('each[2]', 'c');
    expect(run.states).toMatchObject({ each: 'failed', join: 'upstream_failed' });
    run.send({ kind: 'rerun', from: null });
    run.send({ kind: 'start' });
    expect(run.ready).toEqual(['each[1]']);
    expect(run.record('each[2]')).toMatchObject({ state: 'success', output: 'c' });
    run.run('each[1]').run('join');
    expect(run.ended).toEqual(['failed', 'success']);
    expect(run.state.run.tries).toBe(2);
  });

  it('forgets its instances when it runs again as a whole', () => {
    const run = RunDriver.started(program);
    run.run('list', [1, 2]).run('each[0]').run('each[1]').run('join');
    const { removed } = run.send({ kind: 'rerun', from: 'list' });
    expect(removed).toEqual([
      { task: 'each', index: 0 },
      { task: 'each', index: 1 },
    ]);
    run.send({ kind: 'start' });
    run.run('list', [1]).run('each[0]').run('join');
    expect(run.ended).toEqual(['success', 'success']);
  });
});

describe('an output', () => {
  it('beyond its bound fails the attempt', () => {
    const run = RunDriver.started(programOf({ a: {} }));
    run.run('a', 'x'.repeat(limits.taskOutputBytesMax));
    expect(run.record('a')).toMatchObject({ state: 'failed', output: null });
    expect(run.record('a').error).toMatchObject({ code: 'output_too_large', class: 'resources' });
  });

  it('that is not what its schema says fails the attempt, with the place', () => {
    const outputSchema = { type: 'object', properties: { n: { type: 'integer' } } };
    const run = RunDriver.started(programOf({ a: { outputSchema } }));
    run.run('a', { n: 'many' });
    expect(run.record('a').error).toMatchObject({ code: 'output_schema', class: 'data' });
    expect(run.record('a').error?.message).toContain('outputSchema says: n: ');
  });

  it('that fits its schema is kept', () => {
    const run = RunDriver.started(programOf({ a: { outputSchema: { type: 'integer' } } }));
    run.run('a', 3);
    expect(run.record('a')).toMatchObject({ state: 'success', output: 3 });
  });
});

describe('a retry', () => {
  it('waits for its pause, which counts as ready from its end', () => {
    const run = RunDriver.started(programOf({ a: { retry: { attempts: 2 } } }));
    run.breakDown('a');
    const { nextAttemptAt } = run.record('a');
    expect(run.record('a')).toMatchObject({ state: 'ready', attempt: 1, readyAt: nextAttemptAt });
    expect(run.ready).toEqual([]);
    expect(run.wake).toBe(nextAttemptAt);
    run.now = nextAttemptAt ?? 0;
    expect(run.ready).toEqual(['a']);
    run.breakDown('a');
    expect(run.record('a')).toMatchObject({ state: 'failed', attempt: 2 });
  });

  it('is due at once when the clock went back', () => {
    const run = RunDriver.started(programOf({ a: { retry: { attempts: 2 } } }));
    run.breakDown('a');
    run.now = NOW - 365 * 86_400_000;
    expect(run.ready).toEqual(['a']);
    expect(run.wake).toBe(null);
  });

  it('after a crash does not count against the attempts', () => {
    const run = RunDriver.started(programOf({ a: {} }));
    run.begin('a').crash();
    expect(run.record('a')).toMatchObject({ state: 'ready', attempt: 1, interrupted: 1 });
    expect(run.ready).toEqual(['a']);
    run.run('a');
    expect(run.ended).toEqual(['success']);
  });

  it('after a crash has a bound of its own', () => {
    const run = RunDriver.started(programOf({ a: {} }));
    for (let crash = 0; crash < limits.interruptedAttemptsMax; crash += 1) {
      run.now = run.wake ?? run.now;
      run.begin('a').crash();
    }
    expect(run.record('a').state).toBe('failed');
    expect(run.ended).toEqual(['failed']);
  });
});
