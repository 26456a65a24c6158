/** What people and the clock do to a run: cancel, time out, run again, clear, mark. */
import { describe, expect, it } from 'vitest';
import { RUN_STATES, type RunState } from '@runnel/shared/protocol/runs.ts';
import type { RunEvent, RunEventKind } from '@runnel/agent/batch/dag/run-machine.ts';
import { affectedTasks } from '@runnel/agent/batch/dag/run-snapshot.ts';
import { NOW, programOf } from './program-of.ts';
import { RunDriver } from './run-driver.ts';

const CANCEL = { kind: 'cancel', reason: 'no longer needed' } as const;
const chain = programOf({ a: {}, b: { needs: ['a'] }, c: { needs: ['b'] } });
/** setup → work → teardown, and a task behind the work. */
const withTeardown = programOf({
  setup: {},
  work: { needs: ['setup'] },
  down: { needs: ['work'], teardown: ['setup'] },
  after: { needs: ['work'] },
});

describe('a cancel', () => {
  it('aborts what runs, ends what waits, and the run when all of it has ended', () => {
    const run = RunDriver.started(chain);
    run.begin('a').send(CANCEL);
    expect(run.aborted).toEqual(['a']);
    expect(run.states).toEqual({ a: 'running', b: 'cancelled', c: 'cancelled' });
    expect(run.state.run).toMatchObject({ state: 'running', cancelling: { force: false } });
    run.fail('a');
    expect(run.states.a).toBe('cancelled');
    expect(run.ended).toEqual(['cancelled']);
    expect(run.state.run).toMatchObject({
      cancelling: null,
      error: { code: 'run_cancelled', message: 'no longer needed' },
    });
  });

  it('keeps the success of an attempt that could not be stopped any more', () => {
    const run = RunDriver.started(chain);
    run.begin('a').send(CANCEL);
    run.succeed('a', 1);
    expect(run.states).toEqual({ a: 'success', b: 'cancelled', c: 'cancelled' });
    expect(run.ended).toEqual(['cancelled']);
  });

  it('makes no attempt again', () => {
    const run = RunDriver.started(programOf({ a: { retry: { attempts: 9 } } }));
    run.begin('a').send(CANCEL);
    run.fail('a');
    expect(run.ended).toEqual(['cancelled']);
  });

  it('of a run that is queued ends it at once', () => {
    const run = new RunDriver(withTeardown);
    run.send(CANCEL);
    expect(run.ended).toEqual(['cancelled']);
    expect(new Set(Object.values(run.states))).toEqual(new Set(['cancelled']));
    expect(run.state.run.startedAt).toBe(null);
  });

  it('outlasts a restart', () => {
    const run = RunDriver.started(chain);
    run.begin('a').send(CANCEL);
    run.crash();
    expect(run.ended).toEqual(['cancelled']);
  });

  it('ends the instances of a forEach', () => {
    const run = RunDriver.started(programOf({ a: { forEach: () => [1, 2, 3] } }));
    run.run('a[0]').begin('a[1]').send(CANCEL);
    expect(run.aborted).toEqual(['a[1]']);
    run.fail('a[1]');
    expect(run.record('a[0]').state).toBe('success');
    expect(run.record('a[2]').state).toBe('cancelled');
    expect(run.states.a).toBe('cancelled');
  });
});

describe('a teardown', () => {
  it('runs behind its work and lets nothing of the run depend on it', () => {
    const run = RunDriver.started(withTeardown);
    run.run('setup').run('work');
    expect(run.ready).toEqual(['down', 'after']);
    run.run('after').breakDown('down');
    expect(run.ended).toEqual(['success']);
    expect(run.state.run.error).toBe(null);
  });

  it('runs also when the work failed', () => {
    const run = RunDriver.started(withTeardown);
    run.run('setup').breakDown('work').run('down');
    expect(run.ended).toEqual(['failed']);
    expect(affectedTasks(run.state)).toEqual(['after']);
  });

  it('does not run when its setup failed', () => {
    const run = RunDriver.started(withTeardown);
    run.breakDown('setup');
    expect(run.states.down).toBe('upstream_failed');
    expect(run.ended).toEqual(['failed']);
  });

  it('runs after a cancel, with its retries, and then the run is cancelled', () => {
    const run = RunDriver.started(withTeardown);
    run.run('setup').begin('work').send(CANCEL);
    expect(run.ready).toEqual([]);
    run.fail('work');
    expect(run.ready).toEqual(['down']);
    run.run('down');
    expect(run.ended).toEqual(['cancelled']);
    expect(run.states.down).toBe('success');
  });

  it('that hangs is ended by a second cancel', () => {
    const run = RunDriver.started(withTeardown);
    run.run('setup').run('work').begin('down').send(CANCEL);
    expect(run.aborted).toEqual([]);
    run.send(CANCEL);
    expect(run.aborted).toEqual(['down']);
    run.fail('down');
    expect(run.ended).toEqual(['cancelled']);
  });

  it('is run again together with its setup when the work between them is', () => {
    const run = RunDriver.started(withTeardown);
    run.run('setup').run('work').run('down').breakDown('after');
    run.send({ kind: 'rerun', from: 'work' });
    run.send({ kind: 'start' });
    expect(run.ready).toEqual(['setup']);
    run.run('setup').run('work').run('down').run('after');
    expect(run.ended).toEqual(['failed', 'success']);
  });

  it('stays as it is when only what is beside it runs again', () => {
    const run = RunDriver.started(withTeardown);
    run.run('setup').run('work').run('down').breakDown('after');
    run.send({ kind: 'rerun', from: null });
    expect(run.states).toMatchObject({ setup: 'success', down: 'success', after: 'waiting' });
  });
});

describe('a timeout of the run', () => {
  const program = programOf(
    { setup: {}, work: { needs: ['setup'] }, down: { needs: ['work'], teardown: ['setup'] } },
    { timeoutMs: 60_000 },
  );

  it('aborts what runs, tears down, and fails the run', () => {
    const run = RunDriver.started(program);
    expect(run.wake).toBe(NOW + 60_000);
    run.run('setup').begin('work');
    run.now = NOW + 60_000;
    run.send({ kind: 'timedOut' });
    expect(run.aborted).toEqual(['work']);
    expect(run.wake).toBe(null);
    run.fail('work', 'timeout').run('down');
    expect(run.ended).toEqual(['failed']);
    expect(run.state.run.error).toMatchObject({ code: 'run_timeout', class: 'timeout' });
  });

  it('that comes twice, or during a cancel, changes nothing', () => {
    const run = RunDriver.started(program);
    run.begin('setup').send(CANCEL);
    expect(run.send({ kind: 'timedOut' })).toMatchObject({ changed: [], runChanged: false });
    run.fail('setup');
    expect(run.ended).toEqual(['cancelled']);
    expect(run.send({ kind: 'timedOut' })).toMatchObject({ changed: [], runChanged: false });
  });
});

describe('a rerun', () => {
  const failed = (): RunDriver => RunDriver.started(chain).run('a', 'kept').breakDown('b');

  it('of what did not succeed keeps what did', () => {
    const run = failed();
    run.now = NOW + 5;
    run.send({ kind: 'rerun', from: null, fullRefresh: true });
    expect(run.states).toEqual({ a: 'success', b: 'waiting', c: 'waiting' });
    expect(run.record('b')).toMatchObject({ attempt: 0, error: null });
    expect(run.state.run).toMatchObject({
      state: 'queued',
      tries: 2,
      fullRefresh: true,
      queuedAt: NOW + 5,
      startedAt: null,
      error: null,
    });
    run.send({ kind: 'start' });
    run.run('b').run('c');
    expect(run.ended).toEqual(['failed', 'success']);
  });

  it.each([{ kind: 'rerun', from: 'a' } as const, { kind: 'clear', task: 'a' } as const])(
    'from a task takes all behind it: $kind',
    (event) => {
      const run = failed();
      run.send(event);
      expect(new Set(Object.values(run.states))).toEqual(new Set(['waiting']));
      expect(run.record('a').output).toBe(null);
    },
  );

  it('of all takes every task, of a run that succeeded with several roots too', () => {
    const run = RunDriver.started(
      programOf({ a: {}, b: {}, skip: { when: () => false }, c: { needs: ['a', 'b'] } }),
    );
    run.run('a').run('b').run('c');
    expect(run.ended).toEqual(['success']);
    run.send({ kind: 'rerun', from: null, all: true });
    expect(new Set(Object.values(run.states))).toEqual(new Set(['waiting']));
    expect(run.state.run).toMatchObject({ state: 'queued', tries: 2 });
    run.send({ kind: 'start' });
    run.run('a').run('b').run('c');
    expect(run.ended).toEqual(['success', 'success']);
  });

  it('takes what was skipped behind a failure too', () => {
    const run = RunDriver.started(
      programOf({
        a: {},
        b: { needs: ['a'], trigger: 'all_done' },
        c: { needs: ['a'], trigger: 'all_failed' },
        d: { needs: ['c'], trigger: 'all_success' },
        skip: { when: () => false },
      }),
    );
    run.breakDown('a').run('b').breakDown('c');
    run.send({ kind: 'rerun', from: null });
    expect(run.states).toEqual({
      a: 'waiting',
      b: 'success',
      c: 'waiting',
      d: 'waiting',
      skip: 'skipped',
    });
  });

  it('of an unknown task says which was meant', () => {
    const run = RunDriver.started(programOf({ daily: {} })).run('daily');
    expect(() => run.send({ kind: 'rerun', from: 'dayly' })).toThrowError(
      expect.objectContaining({ code: 'task_unknown', hint: 'did you mean "daily"?' }),
    );
  });

  it('of a run in which nothing failed says so', () => {
    const run = RunDriver.started(programOf({ a: {} })).run('a');
    expect(() => run.send({ kind: 'rerun', from: null })).toThrowError(
      expect.objectContaining({ code: 'nothing_to_rerun' }),
    );
  });
});

describe('a task that is marked as success', () => {
  it('lets what did not run because of it run now', () => {
    const run = RunDriver.started(chain).breakDown('a');
    run.send({ kind: 'markSuccess', task: 'a' });
    expect(run.record('a')).toMatchObject({ state: 'success', marked: true, error: null });
    expect(run.states).toMatchObject({ b: 'waiting', c: 'waiting' });
    expect(run.state.run).toMatchObject({ state: 'queued', tries: 1 });
    run.send({ kind: 'start' });
    run.run('b').run('c');
    expect(run.ended).toEqual(['failed', 'success']);
  });

  it('makes the run a success when nothing is left', () => {
    const run = RunDriver.started(programOf({ a: {} })).breakDown('a');
    run.now = NOW + 9;
    run.send({ kind: 'markSuccess', task: 'a' });
    expect(run.ended).toEqual(['failed', 'success']);
    expect(run.state.run).toMatchObject({ state: 'success', error: null, endedAt: NOW });
  });

  it('goes on within a run that still runs', () => {
    const run = RunDriver.started(programOf({ a: {}, b: { needs: ['a'] }, other: {} }));
    run.breakDown('a').send({ kind: 'markSuccess', task: 'a' });
    expect(run.ready).toEqual(['b', 'other']);
  });

  it('cannot be one that runs', () => {
    const run = RunDriver.started(chain).begin('a');
    expect(() => run.send({ kind: 'markSuccess', task: 'a' })).toThrowError(
      expect.objectContaining({ code: 'task_running' }),
    );
  });

  it('may have instances', () => {
    const run = RunDriver.started(programOf({ a: { forEach: () => [1, 2] } }));
    run.run('a[0]').breakDown('a[1]');
    run.send({ kind: 'markSuccess', task: 'a' });
    expect(run.record('a[1]')).toMatchObject({ state: 'success', marked: true });
    expect(run.record('a[0]').marked).toBe(false);
    expect(run.ended).toEqual(['failed', 'success']);
  });

  it('may be all of them', () => {
    const run = RunDriver.started(chain).breakDown('a');
    run.send({ kind: 'markSuccess', task: null });
    expect(new Set(Object.values(run.states))).toEqual(new Set(['success']));
    expect(run.ended).toEqual(['failed', 'success']);
  });
});

/** One event of each kind for a run of one task, and what it needs before it. */
const EVENTS: Readonly<Record<RunEventKind, RunEvent>> = {
  start: { kind: 'start' },
  attemptStarted: { kind: 'attemptStarted', task: 0, index: null },
  attemptSucceeded: { kind: 'attemptSucceeded', task: 0, index: null, output: null, table: null },
  attemptFailed: {
    kind: 'attemptFailed',
    task: 0,
    index: null,
    error: { code: 'x', class: 'other', message: 'x' },
  },
  attemptRefused: {
    kind: 'attemptRefused',
    task: 0,
    index: null,
    error: { code: 'x', class: 'resources', message: 'x' },
  },
  resumed: { kind: 'resumed' },
  cancel: CANCEL,
  timedOut: { kind: 'timedOut' },
  rerun: { kind: 'rerun', from: 'a' },
  clear: { kind: 'clear', task: 'a' },
  markSuccess: { kind: 'markSuccess', task: 'a' },
};

/** The state after it, or the code of the error, by state before: as SPEC of the machine. */
const BROKEN = 'invariant_broken';
const EXPECTED: Readonly<Record<RunEventKind, Readonly<Record<RunState, string>>>> = {
  start: row('running', BROKEN, BROKEN),
  attemptStarted: row(BROKEN, 'running', BROKEN),
  attemptSucceeded: row(BROKEN, BROKEN, BROKEN),
  attemptFailed: row(BROKEN, BROKEN, BROKEN),
  attemptRefused: row(BROKEN, 'failed', BROKEN),
  resumed: row('queued', 'running', null),
  cancel: row('cancelled', 'cancelled', 'run_ended'),
  timedOut: row(BROKEN, 'failed', null),
  rerun: row('run_active', 'run_active', 'queued'),
  clear: row('run_active', 'run_active', 'queued'),
  markSuccess: row('queued', 'success', 'success'),
};

/** `ended` null: it stays what it was. */
function row(queued: string, running: string, ended: string | null): Record<RunState, string> {
  const after = (state: string): string => ended ?? state;
  const [success, failed, cancelled] = ['success', 'failed', 'cancelled'].map(after);
  return {
    queued,
    running,
    success: success ?? '',
    failed: failed ?? '',
    cancelled: cancelled ?? '',
  };
}

function runThatIs(state: RunState): RunDriver {
  const run = new RunDriver(programOf({ a: {} }));
  if (state !== 'queued') run.send({ kind: 'start' });
  if (state === 'success') run.run('a');
  if (state === 'failed') run.breakDown('a');
  if (state === 'cancelled') run.send(CANCEL);
  return run;
}

describe('the table of states and events', () => {
  it.each(RUN_STATES)('answers every event of a run that is %s', (state) => {
    for (const [kind, event] of Object.entries(EVENTS)) {
      const run = runThatIs(state);
      let answer: string;
      try {
        answer = run.send(event).state.run.state;
      } catch (thrown) {
        answer = (thrown as { code: string }).code;
        // An error changes nothing.
        expect(run.state.run.state).toBe(state);
      }
      expect(`${kind}: ${answer}`).toBe(`${kind}: ${EXPECTED[kind as RunEventKind][state]}`);
    }
  });

  it('is met by an event of an instance that is in another state', () => {
    const run = RunDriver.started(chain);
    for (const action of [() => run.succeed('a'), () => run.begin('b'), () => run.begin('a[0]')]) {
      expect(action).toThrowError(expect.objectContaining({ code: BROKEN }));
    }
  });
});
