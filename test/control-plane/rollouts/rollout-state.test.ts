import { describe, expect, it } from 'vitest';
import { ROLLOUT_PHASES, type RolloutPhase } from '@runnel/control-plane/http/rollout-messages.ts';
import { rolloutItem } from '@runnel/control-plane/rollouts/rollout-reason.ts';
import { rolloutRow, rolloutState } from '@runnel/control-plane/rollouts/rollout-record.ts';
import {
  currentVersion,
  type RolloutEvent,
  type RolloutState,
  transition,
  versionElsewhere,
} from '@runnel/control-plane/rollouts/rollout-state.ts';
import { FakeFleet, NEW, OLD } from './rollout-fleet.ts';

const staged = { batches: [1, '50%', '100%'] };

/** One state of each phase, as a fleet gets there. */
function inPhase(phase: RolloutPhase): RolloutState {
  const good = new FakeFleet(['good', 'good', 'good', 'good'], { ...staged, pauseBetween: '5s' });
  good.look();
  const by = 'token:t';
  if (phase === 'soaking') while (good.state.phase !== 'soaking') good.look();
  if (phase === 'awaitingApproval') {
    const asks = new FakeFleet(['good', 'good'], { ...staged, approval: 'manual' });
    asks.run();
    return asks.state;
  }
  if (phase === 'suspended') good.send({ kind: 'pause', by });
  if (phase === 'rollingBack' || phase === 'rolledBack') good.send({ kind: 'undo', by });
  if (phase === 'succeeded' || phase === 'rolledBack') good.run();
  if (phase === 'aborted') good.send({ kind: 'abort', by });
  if (phase === 'superseded') good.send({ kind: 'superseded', version: 3 });
  return good.state;
}

const EVENTS: readonly RolloutEvent[] = [
  { kind: 'looked', elapsedMs: 1000, hold: 'deaf', sights: new Map() },
  { kind: 'approve', by: 'p' },
  { kind: 'pause', by: 'p' },
  { kind: 'resume', by: 'p' },
  { kind: 'abort', by: 'p' },
  { kind: 'undo', by: 'p' },
  { kind: 'superseded', version: 3 },
  { kind: 'deleted' },
];

/** Phase → what each event of a person or of the job makes of it; `-` is refused. */
const TABLE: Readonly<Record<RolloutPhase, string>> = {
  //                 approve pause resume abort undo superseded deleted
  progressing: '- suspended - aborted rollingBack superseded aborted',
  soaking: '- suspended - aborted rollingBack superseded aborted',
  awaitingApproval: 'progressing suspended - aborted rollingBack superseded aborted',
  suspended: '- - progressing aborted rollingBack superseded aborted',
  rollingBack: '- - - - - superseded aborted',
  succeeded: '- - - - succeeded succeeded succeeded',
  rolledBack: '- - - - - rolledBack rolledBack',
  aborted: '- - - - rollingBack aborted aborted',
  superseded: '- - - - - superseded superseded',
};

describe('the table of a rollout', () => {
  for (const phase of ROLLOUT_PHASES) {
    it(`of ${phase} answers every event`, () => {
      const state = inPhase(phase);
      expect(state.phase).toBe(phase);
      const answers = EVENTS.slice(1).map((event) => {
        const step = transition(state, event, 0 as never);
        if (step.refused === undefined) return step.state.phase;
        expect(step.state).toBe(state);
        expect(step.refused.hint).not.toBe('');
        return '-';
      });
      expect(answers.join(' ')).toBe(TABLE[phase]);
    });

    it(`of ${phase} moves nothing and tells nobody while the control plane is deaf`, () => {
      const state = inPhase(phase);
      const step = transition(state, EVENTS[0]!, 0 as never);
      expect(step.effects).toEqual([]);
      expect(step.state.phase).toBe(phase);
      expect(step.state.clockMs).toBe(state.clockMs);
    });

    it(`of ${phase} is the same after it was stored and read`, () => {
      const state = inPhase(phase);
      const read = rolloutState(rolloutRow(state, true).state);
      const devices = [...state.devices].map(([id, device]) => [id, { ...device, heard: false }]);
      expect({ ...read, devices: [...read.devices] }).toEqual({ ...state, devices });
    });
  }
});

describe('a good version', () => {
  it('goes out batch by batch, and is what every other device gets at the end', () => {
    const fleet = new FakeFleet(Array(10).fill('good'), { batches: [1, '50%', '100%'] });
    fleet.look();
    expect(fleet.told()).toHaveLength(1);
    expect(versionElsewhere(fleet.state)).toBe(OLD);
    while (fleet.state.batch === 0) fleet.look();
    expect(fleet.told()).toHaveLength(5);
    fleet.run();
    expect(fleet.state.phase).toBe('succeeded');
    expect(versionElsewhere(fleet.state)).toBe(NEW);
    expect(fleet.state.counts).toEqual({ updated: 10, pending: 0, unknown: 0, failed: 0 });
  });

  it('reaches the batch that a selector names first', () => {
    const rollout = { batches: [{ selector: 'site=turin' }] };
    const fleet = new FakeFleet(Array(6).fill('good'), rollout);
    fleet.look();
    expect(fleet.told()).toEqual([1, 3, 5]);
    expect(fleet.state.batches).toBe(2);
  });

  it('waits for the pause behind each batch, the last one too', () => {
    const fleet = new FakeFleet(['good', 'good'], { batches: [1, '100%'], pauseBetween: '10s' });
    while (fleet.state.phase === 'progressing') fleet.look();
    expect(rolloutItem(fleet.state, fleet.now).nextAt).toBe(fleet.now + 10_000);
    for (let second = 0; second < 9; second += 1) fleet.look();
    expect(fleet.told()).toHaveLength(1);
    fleet.look();
    expect(fleet.told()).toHaveLength(2);
    while (fleet.state.phase !== 'soaking') fleet.look();
    fleet.run();
    expect(fleet.state.phase).toBe('succeeded');
  });

  it('waits for a person before each batch after the first', () => {
    const fleet = new FakeFleet(['good', 'good'], { batches: [1, '100%'], approval: 'manual' });
    fleet.run();
    expect(fleet.state.phase).toBe('awaitingApproval');
    expect(rolloutItem(fleet.state, fleet.now)).toMatchObject({
      stuck: true,
      batch: { n: 1, of: 2 },
    });
    fleet.send({ kind: 'approve', by: 'anna' });
    fleet.run();
    expect(fleet.state.phase).toBe('succeeded');
  });

  it('comes to a device that was away when it is back, and stalls nobody meanwhile', () => {
    const away = { offline: [0, 1] };
    const fleet = new FakeFleet(
      Array(4).fill('good'),
      { batches: ['50%'], pauseBetween: '30s' },
      away,
    );
    while (fleet.state.batch === 0) fleet.look();
    const first = [...fleet.state.devices.keys()].indexOf('agent-000');
    expect(fleet.state.counts.unknown).toBe(2);
    expect(first).toBeGreaterThan(1);
    fleet.get(0).connected = true;
    fleet.run(70);
    expect(fleet.get(0).runs).toBe(NEW);
    expect(fleet.get(1).runs).toBe(OLD);
  });

  it('is not good when nobody is connected who could say so', () => {
    const fleet = new FakeFleet(['good', 'good'], staged, { offline: [0, 1] });
    fleet.run();
    expect(fleet.state.phase).toBe('progressing');
    expect(fleet.told()).toEqual([]);
    expect(rolloutItem(fleet.state, fleet.now).reason).toContain(
      'none of its devices is connected',
    );
    expect(rolloutItem(fleet.state, fleet.now + 901_000).stuck).toBe(true);
  });

  it('without batches is told to every device at once, those that are away too', () => {
    const fleet = new FakeFleet(['good', 'bad', 'good'], null, { offline: [2] });
    expect(fleet.told()).toEqual([0, 1, 2]);
    expect(versionElsewhere(fleet.state)).toBe(NEW);
    fleet.run();
    expect(fleet.state.phase).toBe('succeeded');
    expect(fleet.state.why).toBe('1 device runs it; 1 failed; 1 get it when they are back');
  });

  it('that fails on every device is none: the rollout needs somebody', () => {
    const fleet = new FakeFleet(['bad', 'bad'], null);
    fleet.run();
    const item = rolloutItem(fleet.state, fleet.now);
    expect(item).toMatchObject({ phase: 'progressing', stuck: true });
    expect(item.reason).toContain('press-0: failed: no');
  });
});

describe('a bad version', () => {
  it('is taken back from every device, and the one before is what the job is to run', () => {
    const fleet = new FakeFleet(['good', 'bad', 'bad', 'good', 'good'], { batches: ['100%'] });
    fleet.run();
    expect(fleet.state.phase).toBe('rolledBack');
    expect(fleet.effects).toContainEqual({ do: 'makeCurrent', version: OLD });
    expect(currentVersion(fleet.state)).toBe(OLD);
    expect([...fleet.devices.values()].every(({ runs }) => runs === OLD)).toBe(true);
    expect(fleet.state.why).toContain('press-');
  });

  it('with none before it is taken away', () => {
    const fleet = new FakeFleet(['bad', 'good'], { batches: ['100%'] }, { from: null });
    fleet.run();
    expect(fleet.state.phase).toBe('rolledBack');
    expect([...fleet.devices.values()].every(({ runs }) => runs === null)).toBe(true);
  });

  it('that hangs has failed when its time is up', () => {
    const rollout = { batches: [1], deviceTimeout: '10s', onFailure: 'pause' };
    const fleet = new FakeFleet(['stuck', 'stuck'], rollout);
    for (let second = 0; second < 10; second += 1) fleet.look();
    expect(fleet.state.phase).toBe('progressing');
    fleet.run();
    expect(fleet.state.phase).toBe('suspended');
    expect(fleet.state.why).toContain('not there after 11 s: it still runs version 1');
    expect(rolloutItem(fleet.state, fleet.now).stuck).toBe(true);
  });

  it('is not judged by what a device said of it before it was told', () => {
    const fleet = new FakeFleet(['good'], staged);
    fleet.get(0).failed = NEW;
    fleet.look();
    expect(fleet.told()).toEqual([0]);
    fleet.look();
    expect(fleet.state.phase).not.toBe('rollingBack');
  });

  it('goes on when a person accepts the failures; the next one stops it again', () => {
    const rollout = { batches: [2, 4], onFailure: 'pause' };
    const fleet = new FakeFleet(['bad', 'good', 'good', 'good', 'bad', 'good'], rollout);
    fleet.run();
    const stops: string[] = [];
    for (let each = 0; each < 6 && fleet.state.phase === 'suspended'; each += 1) {
      stops.push(fleet.state.why);
      fleet.send({ kind: 'resume', by: 'anna' });
      fleet.run();
    }
    expect(stops).toHaveLength(2);
    expect(fleet.state.phase).toBe('succeeded');
    expect(fleet.state.counts).toMatchObject({ updated: 4, failed: 2 });
  });

  it('stops at the disruption budget, also while more failures would be healthy enough', () => {
    const rollout = { batches: ['100%'], maxUnavailable: 1, gate: { minHealthy: '50%' } };
    const natures = Array(9).fill('good');
    const fleet = new FakeFleet(['bad', ...natures], { ...rollout, onFailure: 'pause' });
    fleet.run(100);
    expect(fleet.state.phase).toBe('suspended');
    expect(fleet.state.why).toContain('disruption budget of 1');
  });

  it('breaks the gate during the pause as well', () => {
    const fleet = new FakeFleet(['good', 'good'], { batches: [1, '100%'], pauseBetween: '1m' });
    while (fleet.state.phase === 'progressing') fleet.look();
    const [index] = fleet.told();
    fleet.get(index!).failed = NEW;
    fleet.look();
    expect(fleet.state.phase).toBe('rollingBack');
  });
});

describe('a control plane that could not hear', () => {
  it('lets no time pass, and waits for a word of each changed device', () => {
    const rollout = { batches: [1], deviceTimeout: '10s' };
    const fleet = new FakeFleet(['stuck', 'good'], rollout);
    fleet.look();
    const [index] = fleet.told();
    for (let minute = 0; minute < 30; minute += 1) fleet.look(60_000, 'deaf');
    expect(fleet.state.counts.failed).toBe(0);
    fleet.get(index!).heard = false;
    for (let second = 0; second < 20; second += 1) fleet.look();
    expect(fleet.state.phase).toBe('progressing');
    expect(rolloutItem(fleet.state, fleet.now).reason).toContain('to hear from 1 device');
  });
});
