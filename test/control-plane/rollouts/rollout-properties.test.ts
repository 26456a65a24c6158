import {
  array,
  assert,
  boolean,
  constantFrom,
  integer,
  nat,
  oneof,
  property,
  record,
  tuple,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasEnded, versionElsewhere } from '@runnel/control-plane/rollouts/rollout-state.ts';
import { FakeFleet, NEW, type Nature, OLD } from './rollout-fleet.ts';

const natures = array(constantFrom<Nature>('good', 'good', 'good', 'slow', 'bad', 'stuck'), {
  minLength: 1,
  maxLength: 12,
});
const rollout = record({
  batches: array(constantFrom<unknown>(1, 2, '25%', '50%', { selector: 'site=lyon' }, '100%'), {
    minLength: 1,
    maxLength: 4,
  }),
  maxUnavailable: constantFrom<unknown>(1, 2, 3, '20%'),
  deviceTimeout: constantFrom('5s', '20s'),
  pauseBetween: constantFrom('0s', '3s'),
  onFailure: constantFrom('rollback', 'pause', 'continue'),
  gate: record({ minHealthy: constantFrom('0%', '50%', '90%', '100%') }),
});
const happening = oneof(
  { weight: 6, arbitrary: tuple(constantFrom('look' as const), nat(8000)) },
  { weight: 2, arbitrary: tuple(constantFrom('flip' as const), nat(20)) },
  { weight: 1, arbitrary: tuple(constantFrom('deaf' as const), nat(60_000)) },
  { weight: 1, arbitrary: tuple(constantFrom('pause' as const, 'resume' as const), nat(0)) },
);
const happenings = array(happening, { maxLength: 60 });

function happen(fleet: FakeFleet, [kind, amount]: readonly [string, number]): void {
  const by = 'p';
  if (kind === 'look') fleet.look(amount);
  else if (kind === 'deaf') fleet.look(amount, 'deaf');
  else if (kind === 'flip') {
    const device = fleet.get(amount % fleet.devices.size);
    device.connected = !device.connected;
  } else fleet.send({ kind: kind as 'pause' | 'resume', by });
}

describe('whatever devices do', () => {
  it('no more than the budget are changing or failed while a version goes out', () => {
    assert(
      property(natures, rollout, happenings, (kinds, text, events) => {
        const fleet = new FakeFleet(kinds, text);
        const budget = fleet.state.strategy.maxUnavailable ?? 0;
        for (const event of events) {
          happen(fleet, event);
          if (fleet.state.phase === 'rollingBack' || hasEnded(fleet.state)) break;
          expect(fleet.unavailable()).toBeLessThanOrEqual(budget);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('nothing moves while the control plane is deaf', () => {
    assert(
      property(natures, rollout, happenings, nat(100_000), (kinds, text, events, deafMs) => {
        const fleet = new FakeFleet(kinds, text);
        for (const event of events) happen(fleet, event);
        const before = { ...fleet.state };
        const { effects } = fleet.look(deafMs, 'deaf');
        expect(effects).toEqual([]);
        const { phase, batch, clockMs, counts } = before;
        expect(fleet.state).toMatchObject({ phase, batch, clockMs, counts });
      }),
      { numRuns: 200 },
    );
  });

  it('a version that no device was seen to run never succeeds', () => {
    assert(
      property(natures, rollout, happenings, boolean(), (kinds, text, events, hasBatches) => {
        const silent = kinds.map((kind) => (kind === 'stuck' ? 'stuck' : 'bad') as Nature);
        const fleet = new FakeFleet(silent, hasBatches ? text : null);
        for (const event of events) happen(fleet, event);
        expect(fleet.state.phase).not.toBe('succeeded');
      }),
      { numRuns: 200 },
    );
  });

  it('a rollback ends, and leaves no device on the version that it took back', () => {
    const when = integer({ min: 0, max: 60 });
    assert(
      property(natures, rollout, happenings, when, (kinds, text, events, undoAt) => {
        const fleet = new FakeFleet(kinds, text);
        for (const event of events.slice(0, undoAt)) happen(fleet, event);
        if (fleet.send({ kind: 'undo', by: 'p' }).refused !== undefined) return;
        if (fleet.state.phase !== 'rollingBack') return;
        // Devices come and go meanwhile; then somebody can be heard for long enough.
        for (const event of events.slice(undoAt)) happen(fleet, event);
        fleet.run(400);
        expect(fleet.state.phase).toBe('rolledBack');
        expect(versionElsewhere(fleet.state)).toBe(OLD);
        for (const device of fleet.devices.values()) device.connected = true;
        for (let each = 0; each < 6; each += 1) fleet.look();
        expect([...fleet.devices.values()].filter(({ runs }) => runs === NEW)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('a good version with time and devices that stay ends well', () => {
    assert(
      property(natures, rollout, (kinds, text) => {
        const good = kinds.map((kind) => (kind === 'slow' ? 'slow' : 'good') as Nature);
        const fleet = new FakeFleet(good, text);
        fleet.run(400);
        expect(fleet.state.phase).toBe('succeeded');
        expect(fleet.state.counts.updated).toBe(kinds.length);
      }),
      { numRuns: 200 },
    );
  });
});
