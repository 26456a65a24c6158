import { describe, expect, it } from 'vitest';
import { SlaBoard } from '@runnel/control-plane/sla/sla-board.ts';
import type { Contact } from '@runnel/control-plane/sla/sla-entry.ts';
import { slaJob } from '@runnel/control-plane/sla/sla-jobs.ts';
import type { SlaChangeRecord, SlaIntervalRecord } from '@runnel/control-plane/store/slas.ts';
import { ManualClock } from '../../agent/streams/manual-clock.ts';

const T0 = Date.parse('2026-11-30T12:00:00Z');
const SECOND = 1000;

function streamJob(sla: readonly Record<string, unknown>[]) {
  return slaJob({
    name: 'rms',
    version: 1,
    paused: false,
    document: {
      apiVersion: 'runnel/v1',
      kind: 'StreamJob',
      metadata: { name: 'rms' },
      sla,
      sources: { in: { mqtt: { topic: 'a/+' } } },
      steps: [{ filter: 'true' }],
      sinks: [{ from: 'filter', results: { dataset: 'rms' } }],
    },
  })!;
}

/** A run each quarter of an hour, done five minutes later. */
const quarters = slaJob({
  name: 'rms',
  version: 1,
  paused: false,
  document: {
    apiVersion: 'runnel/v1',
    kind: 'BatchJob',
    metadata: { name: 'rms' },
    schedule: { cron: '*/15 * * * *', timezone: 'UTC' },
    sla: [{ name: 'done', deadline: { after: '5m' } }],
    tasks: [{ id: 'one', value: { value: 1 } }],
  },
})!;

const FRESH = { name: 'fresh', freshness: '60s' };

class World {
  readonly clock = new ManualClock(T0);
  readonly written: SlaChangeRecord[] = [];
  readonly contacts = new Map<string, Contact>();
  hearingSince: number | null = T0;
  readonly board: SlaBoard;

  constructor(standing: readonly SlaIntervalRecord[] = []) {
    this.board = new SlaBoard(
      {
        clock: this.clock,
        hearingSince: () => this.hearingSince,
        contact: (agent) => this.contacts.get(agent) ?? this.online(),
        agentName: (agent) => `name of ${agent}`,
        write: (change) => this.written.push(change),
      },
      standing,
    );
    this.board.start();
  }

  online(): Contact {
    const now = this.clock.now();
    const seen = { connection: 'online', lastSeenAt: now, heardUpTo: now } as const;
    return { ...seen, waitingMs: null, skewMs: 0 };
  }

  offline(agent: string): void {
    this.contacts.set(agent, { ...this.online(), connection: 'offline' });
    this.board.heard(agent, undefined);
  }

  back(agent: string, verdict: 'met' | 'breached', since: number): void {
    this.contacts.delete(agent);
    const report = { job: 'rms', sla: 'fresh', verdict, since, cause: 'as the device says' };
    this.board.heard(agent, [report]);
  }

  result(agent: string, windowEnd: number | null = null): void {
    const windowStart = windowEnd === null ? null : windowEnd - 10 * SECOND;
    const row = { job: 'rms', dataset: 'rms', windowStart, windowEnd, lagMs: 5 };
    this.board.arrived(agent, [row], this.clock.now());
  }

  verdict(agent: string): string | undefined {
    return this.board.verdictsOf(agent, 'rms')[0]?.verdict;
  }
}

describe('a promise on a device', () => {
  it('is breached when the device is there and results do not arrive', () => {
    const world = new World();
    world.board.place('a', [streamJob([FRESH])]);
    world.back('a', 'met', T0);
    world.result('a');
    world.clock.pass(47 * SECOND);
    expect(world.verdict('a')).toBe('met');
    world.clock.pass(SECOND);
    expect(world.verdict('a')).toBe('atRisk');
    world.clock.pass(12 * SECOND);
    expect(world.board.list()).toMatchObject([
      {
        job: 'rms',
        agent: 'a',
        agentName: 'name of a',
        sla: 'fresh',
        verdict: 'breached',
        since: T0 + 60 * SECOND,
        cause: 'no result for 1m, promised every 1m',
        target: '1m',
        deviceVerdict: null,
      },
    ]);
    expect(world.board.counts()).toEqual({ met: 0, atRisk: 0, breached: 1, unreachable: 0 });
  });

  it('is unreachable and not breached when the device is silent, with what it said last', () => {
    const world = new World();
    world.board.place('a', [streamJob([FRESH])]);
    world.back('a', 'met', T0);
    world.clock.pass(30 * SECOND);
    world.offline('a');
    world.clock.pass(3600 * SECOND);
    const [item] = world.board.list();
    expect(item).toMatchObject({ verdict: 'unreachable', deviceVerdict: 'met' });
    expect(item?.cause).toMatch(/^the device has not been heard/);
    expect(world.written.map(({ verdict }) => verdict)).toEqual(['met', 'unreachable']);
    world.back('a', 'breached', T0 + 100 * SECOND);
    expect(world.verdict('a')).toBe('breached');
    expect(world.written.at(-1)).toMatchObject({ judge: 'device', cause: 'as the device says' });
  });

  it('is not breached by what may be on its way, nor before its silence is noticed', () => {
    const world = new World();
    world.board.place('a', [streamJob([FRESH])]);
    world.back('a', 'met', T0);
    world.result('a');
    world.clock.pass(50 * SECOND);
    const heardUpTo = world.clock.now();
    world.contacts.set('a', { ...world.online(), heardUpTo });
    world.clock.pass(60 * SECOND);
    expect(world.verdict('a')).toBe('atRisk');
    // It is heard, and the results of the time between are not: then they were not made.
    world.back('a', 'met', T0);
    expect(world.verdict('a')).toBe('breached');
    expect(world.written.at(-1)).toMatchObject({ at: T0 + 60 * SECOND, judge: 'control-plane' });
  });

  it('is breached at a deadline while it is heard, and not by a run that is on its way', () => {
    const world = new World();
    const heard = (contact: Partial<Contact>): string | undefined => {
      world.contacts.set('a', { ...world.online(), ...contact });
      world.board.heard('a', []);
      return world.verdict('a');
    };
    const MINUTE = 60 * SECOND;
    for (const agent of ['a', 'b']) world.board.place(agent, [quarters]);
    world.clock.pass(14 * MINUTE);
    expect(heard({})).toBe('met');
    world.clock.pass(30 * MINUTE);
    // One was heard all the while, the other was cut off before the run was due.
    expect(world.written.at(-1)).toMatchObject({ agent: 'b', verdict: 'breached' });
    expect(world.written.at(-1)?.at).toBe(T0 + 20 * MINUTE);
    expect(world.verdict('a')).toBe('met');
    // It is back, and rows from before the cut still wait on it: the run may be among them.
    expect(heard({ waitingMs: 31 * MINUTE })).toBe('met');
    expect(heard({ waitingMs: 2 * MINUTE })).toBe('breached');
    const run = { job: 'rms', partitionStart: T0, partitionEnd: T0 + 15 * MINUTE, failure: null };
    for (const at of [T0 + 15 * MINUTE, T0 + 30 * MINUTE]) {
      world.board.ended('a', { ...run, at, endedAt: at + MINUTE });
    }
    expect(world.verdict('a')).toBe('met');
  });

  it('has no other verdict while nobody here can hear, nor for that time afterwards', () => {
    const world = new World();
    world.board.place('a', [streamJob([FRESH])]);
    world.back('a', 'met', T0);
    world.hearingSince = null;
    world.clock.pass(3600 * SECOND);
    expect(world.verdict('a')).toBe('met');
    world.hearingSince = world.clock.now();
    world.clock.pass(40 * SECOND);
    expect(world.verdict('a')).toBe('met');
    world.clock.pass(21 * SECOND);
    expect(world.verdict('a')).toBe('breached');
  });

  it('is met again when results have come for as long as it speaks of', () => {
    const world = new World();
    const told: (string | undefined)[] = [];
    world.board.place('a', [streamJob([FRESH])]);
    world.board.onChange(() => told.push(world.board.list()[0]?.verdict));
    world.back('a', 'met', T0);
    world.clock.pass(90 * SECOND);
    for (let n = 0; n < 12; n++) {
      world.result('a');
      world.clock.pass(10 * SECOND);
    }
    expect(told).toEqual(['atRisk', 'breached', 'met']);
  });

  it('that is no longer made is told as a change, and counts no more', () => {
    const world = new World();
    world.board.place('a', [streamJob([FRESH])]);
    world.back('a', 'breached', T0);
    const counted: number[] = [];
    world.board.onChange(() => counted.push(world.board.counts().breached));
    world.board.place('a', []);
    expect(counted).toEqual([0]);
  });

  it('writes nothing for what changes nothing', () => {
    const world = new World();
    world.board.place('a', [streamJob([FRESH])]);
    for (let n = 0; n < 100; n++) {
      world.back('a', 'met', T0);
      world.result('a');
      world.clock.pass(10 * SECOND);
    }
    expect(world.written).toHaveLength(1);
  });

  it('goes on after a restart as it stood, and ends when it is not made any more', () => {
    const stood: SlaIntervalRecord = {
      ...{ job: 'rms', agent: 'a', sla: 'fresh', kind: 'freshness', judge: 'device' },
      ...{ verdict: 'breached', cause: 'before', from: T0 - 5000, to: null },
    };
    const world = new World([stood, { ...stood, sla: 'gone' }]);
    world.contacts.set('a', { ...world.online(), connection: 'never' });
    world.board.place('a', [streamJob([FRESH])]);
    world.board.placed();
    expect(world.board.list()).toMatchObject([{ verdict: 'breached', since: T0 - 5000 }]);
    expect(world.written).toMatchObject([{ sla: 'gone', verdict: null }]);
    world.board.place('a', []);
    expect(world.board.list()).toEqual([]);
    expect(world.written.at(-1)).toMatchObject({ sla: 'fresh', verdict: null });
  });
});

describe('completeness over the fleet', () => {
  const COMPLETE = { name: 'all', completeness: { share: '75%', within: '30s' } };
  const agents = ['a', 'b', 'c', 'd'];

  //  windows of 10 s; each is due 30 s after its end
  it('counts who has reported a window in time, and says who is silent and who is late', () => {
    const world = new World();
    for (const agent of agents) world.board.place(agent, [streamJob([COMPLETE])]);
    const end = T0 + 10 * SECOND;
    world.clock.pass(12 * SECOND);
    for (const agent of ['a', 'b']) world.result(agent, end);
    world.offline('d');
    expect(world.board.list()).toEqual([]);
    world.clock.pass(28 * SECOND);
    expect(world.board.list()).toMatchObject([
      {
        agent: null,
        agentName: null,
        verdict: 'breached',
        since: end + 30 * SECOND,
        cause:
          '2 of 4 devices reported what ended 2026-11-30 12:00:10 UTC (1 unreachable, 1 late), ' +
          'promised 75%',
      },
    ]);
    world.result('c', end);
    expect(world.board.list()).toMatchObject([{ verdict: 'atRisk' }]);
  });

  it('notices a fleet that fell silent as a whole', () => {
    const world = new World();
    for (const agent of agents) world.board.place(agent, [streamJob([COMPLETE])]);
    for (let n = 1; n <= 5; n++) {
      world.clock.pass(10 * SECOND);
      for (const agent of agents) world.result(agent, T0 + n * 10 * SECOND);
    }
    expect(world.board.list()).toMatchObject([{ verdict: 'met' }]);
    world.clock.pass(41 * SECOND);
    expect(world.board.list()).toMatchObject([{ verdict: 'breached' }]);
  });
});
