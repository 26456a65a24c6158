import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '@runnel/shared/limits.ts';
import type { BatchBudget } from '@runnel/agent/batch/batch-budget.ts';
import { admitTasks, type TaskCandidate } from '@runnel/agent/batch/dag/admission.ts';
import { JOB_UNBOUND, NOW } from './program-of.ts';

const MiB = 1024 * 1024;
const budget: BatchBudget = {
  filesBytes: 0,
  tasksMax: 3,
  memoryBytes: 100 * MiB,
  cpu: 1,
  pools: { database: 2 },
};

interface Named extends TaskCandidate {
  readonly name: string;
}

function task(name: string, more: Partial<Named> & { memory?: number; cpu?: number } = {}): Named {
  const { memory = 0, cpu = 0, ...rest } = more;
  return {
    name,
    job: 'nightly',
    pool: 'default',
    slots: 1,
    cost: { memoryBytes: memory * MiB, cpu },
    priority: 0,
    since: NOW,
    jobMax: JOB_UNBOUND,
    ...rest,
  };
}

function admit(running: readonly Named[], candidates: readonly Named[], now = NOW) {
  const { start, impossible, waiting } = admitTasks(budget, running, candidates, now);
  return {
    start: start.map(({ name }) => name),
    impossible: impossible.map(({ candidate, error }) => [candidate.name, error.message]),
    waiting: Object.fromEntries(waiting.map(({ candidate, reason }) => [candidate.name, reason])),
  };
}

describe('admission', () => {
  it('starts by priority, then by who waits longest, then in order', () => {
    const candidates = [
      task('late'),
      task('early', { since: NOW - 1 }),
      task('urgent', { priority: 5 }),
      task('last'),
    ];
    expect(admit([], candidates)).toMatchObject({
      start: ['urgent', 'early', 'late'],
      waiting: { last: 'as many tasks are running as the device allows' },
    });
  });

  it('adds a point of priority for each minute of waiting', () => {
    const rival = task('new', { priority: 5 });
    const full = [task('x'), task('y')];
    expect(admit(full, [rival, task('old', { since: NOW - 4 * 60_000 })]).start).toEqual(['new']);
    expect(admit(full, [rival, task('old', { since: NOW - 6 * 60_000 })]).start).toEqual(['old']);
  });

  it('keeps to memory, cores and slots, and says what is lacking', () => {
    const running = [task('x', { memory: 60, cpu: 0.7, pool: 'database', slots: 1 })];
    expect(
      admit(running, [
        task('memory', { memory: 50 }),
        task('cpu', { cpu: 0.5 }),
        task('slots', { pool: 'database', slots: 2 }),
        task('fits', { memory: 40, cpu: 0.3, pool: 'database' }),
      ]),
    ).toEqual({
      start: ['fits'],
      impossible: [],
      waiting: {
        memory: 'needs 50 MiB of memory, and 40 are free',
        cpu: 'needs 0.5 cores, and 0.3 are free',
        slots: 'needs 2 slots of pool "database", and 1 are free',
      },
    });
  });

  it('adds up tenths of cores to the whole', () => {
    const running = [task('x', { cpu: 0.1 }), task('y', { cpu: 0.2 })];
    expect(admit(running, [task('z', { cpu: 0.7 })]).start).toEqual(['z']);
  });

  it('knows no bound of a pool that the device does not name', () => {
    expect(admit([], [task('a', { pool: 'other', slots: 50 })]).start).toEqual(['a']);
  });

  it('keeps to the bound of the job', () => {
    const mine = { jobMax: { ...JOB_UNBOUND, tasks: 1 } };
    expect(admit([task('x')], [task('a', mine), task('b', { ...mine, job: 'other' })])).toEqual({
      start: ['b'],
      impossible: [],
      waiting: { a: '1 of 1 tasks of the job are running' },
    });
  });

  it("keeps to the job's share of memory and cores, whatever the device has left", () => {
    const jobMax = { tasks: Infinity, memoryBytes: 50 * MiB, cpu: 0.5 };
    const running = [task('x', { memory: 30, cpu: 0.3, jobMax })];
    const mine = (name: string, more: { memory?: number; cpu?: number }): Named =>
      task(name, { ...more, jobMax });
    const candidates = [
      mine('memory', { memory: 21 }),
      mine('cpu', { cpu: 0.25 }),
      mine('fits', { memory: 20, cpu: 0.2 }),
      task('of another job', { job: 'other', memory: 40, cpu: 0.4 }),
    ];
    expect(admit(running, candidates)).toEqual({
      start: ['fits', 'of another job'],
      impossible: [],
      waiting: {
        memory: "needs 21 MiB of memory, and 20 are free of the job's share",
        cpu: "needs 0.25 cores, and 0.2 are free of the job's share",
      },
    });
  });

  it("fails what is above its job's share alone", () => {
    const jobMax = { ...JOB_UNBOUND, cpu: 0.5 };
    expect(admit([], [task('greedy', { cpu: 0.6, jobMax })]).impossible).toEqual([
      [
        'greedy',
        "the task needs 0.6 cores, and 0.5 are free of the job's share when nothing else runs: " +
          'lower its cost, or raise the share of its job',
      ],
    ]);
  });

  it('fails what would not fit the empty device, instead of letting it wait', () => {
    const { impossible, start } = admit([], [task('huge', { memory: 101 }), task('small')]);
    expect(start).toEqual(['small']);
    expect(impossible).toEqual([
      [
        'huge',
        'the task needs 101 MiB of memory, and 100 are free when nothing ' +
          'else runs: lower its cost, or raise batch: in agent.yaml',
      ],
    ]);
  });
});

describe('a big task', () => {
  const big = task('big', { memory: 80 });
  const running = [task('x', { memory: 30 })];
  const patient = { ...big, since: NOW - limits.admissionReserveAfterMs };

  it('is passed by small ones for a while', () => {
    expect(admit(running, [big, task('small', { memory: 10 })]).start).toEqual(['small']);
  });

  it('has room kept for it once it has waited long enough', () => {
    expect(admit(running, [patient, task('small', { memory: 10 })]).start).toEqual([]);
  });

  it('does not hold up those that take nothing of what it lacks', () => {
    expect(admit(running, [patient, task('light', { cpu: 0.1 })]).start).toEqual(['light']);
  });

  it('gets nothing kept while its own job holds it back', () => {
    const jobMax = { ...JOB_UNBOUND, tasks: 1 };
    const held = { ...patient, jobMax, since: NOW - 10 * 60_000 };
    const other = task('small', { memory: 10, job: 'other' });
    expect(admit(running, [held, other]).start).toEqual(['small']);
  });

  it('starts in the end whatever keeps coming', () => {
    // Every 10 s a small task comes and one ends; each takes 30 s.
    let small: { readonly load: Named; readonly ends: number }[] = [];
    const waiting: Named[] = [big];
    for (let now = NOW; waiting.includes(big); now += 10_000) {
      small = small.filter(({ ends }) => ends > now);
      waiting.push(task(`small at ${now - NOW}`, { memory: 30, since: now }));
      const { start } = admitTasks(
        budget,
        small.map(({ load }) => load),
        waiting,
        now,
      );
      for (const load of start) {
        waiting.splice(waiting.indexOf(load), 1);
        small.push({ load, ends: now + 30_000 });
      }
      expect(now - NOW).toBeLessThan(limits.admissionReserveAfterMs + 60_000);
    }
  });
});

describe('any queue', () => {
  const load = fc.record({
    job: fc.constantFrom('a', 'b'),
    pool: fc.constantFrom('default', 'database'),
    slots: fc.integer({ min: 1, max: 3 }),
    memory: fc.integer({ min: 0, max: 110 }),
    cpu: fc.constantFrom(0, 0.1, 0.25, 0.5, 1),
    priority: fc.integer({ min: -3, max: 3 }),
    since: fc.integer({ min: NOW - 300_000, max: NOW }),
  });
  /** Of each job one, as in life. */
  const bounds = fc.record({
    tasks: fc.constantFrom(Infinity, 1, 2),
    memoryBytes: fc.constantFrom(Infinity, 30 * MiB, 60 * MiB),
    cpu: fc.constantFrom(Infinity, 0.3, 0.6),
  });
  const named = fc
    .tuple(fc.array(load, { maxLength: 20 }), fc.record({ a: bounds, b: bounds }))
    .map(([loads, jobMax]) =>
      loads.map((each, at) => task(`t${at}`, { ...each, jobMax: jobMax[each.job] })),
    );

  it('never passes a bound, and gives every task exactly one answer', () => {
    fc.assert(
      fc.property(named, (candidates) => {
        const { start, impossible, waiting } = admitTasks(budget, [], candidates, NOW);
        const sum = (of: (each: Named) => number): number =>
          start.reduce((total, each) => total + of(each), 0);
        expect(start.length).toBeLessThanOrEqual(budget.tasksMax);
        expect(sum(({ cost }) => cost.memoryBytes)).toBeLessThanOrEqual(budget.memoryBytes);
        expect(sum(({ cost }) => cost.cpu)).toBeLessThanOrEqual(budget.cpu + 1e-9);
        expect(sum(({ pool, slots }) => (pool === 'database' ? slots : 0))).toBeLessThanOrEqual(2);
        for (const { job, jobMax } of start) {
          const ofJob = (of: (each: Named) => number): number =>
            sum((each) => (each.job === job ? of(each) : 0));
          expect(ofJob(() => 1)).toBeLessThanOrEqual(jobMax.tasks);
          expect(ofJob(({ cost }) => cost.memoryBytes)).toBeLessThanOrEqual(jobMax.memoryBytes);
          expect(ofJob(({ cost }) => cost.cpu)).toBeLessThanOrEqual(jobMax.cpu + 1e-9);
        }
        const answered = [...start, ...[...impossible, ...waiting].map((each) => each.candidate)];
        expect(answered.map(({ name }) => name).sort()).toEqual(
          candidates.map(({ name }) => name).sort(),
        );
      }),
    );
  });

  it('that is not empty moves on an empty device, unless nothing of it can', () => {
    fc.assert(
      fc.property(named, (candidates) => {
        const { start, waiting } = admitTasks(budget, [], candidates, NOW);
        expect(start.length > 0 || waiting.length === 0).toBe(true);
      }),
    );
  });
});
