/** When a receiver is told of a group: the table, and what holds over any history of alerts. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeGroup, encodeGroup } from '@runnel/control-plane/alerts/group-codec.ts';
import {
  type GroupEvent,
  type GroupState,
  type GroupView,
  NEW_GROUP,
  nextLookAt,
  type NotifyPolicy,
  transition,
} from '@runnel/control-plane/alerts/notify-state.ts';

const POLICY: NotifyPolicy = {
  groupWaitMs: 10,
  groupIntervalMs: 100,
  repeatMs: 1000,
  sendResolved: true,
  alertsMax: 3,
  tellsAll: true,
};
const NOTHING: GroupView = { firing: [], held: [], ended: [] };
const firing = (...ids: string[]): GroupView => ({
  ...NOTHING,
  firing: ids.map((id) => ({ id, rank: 1 })),
});
const look = (view: GroupView, id = 'n1'): GroupEvent => ({ kind: 'look', view, id });

const COMMON = { told: {}, notBefore: 0, sentAt: null };
const UNDER_WAY = {
  ...COMMON,
  id: 'n1',
  content: { firing: [{ id: 'a', rank: 1 }], resolved: [], more: [], was: {} },
  attempt: 1,
};
const STATES: Readonly<Record<GroupState['kind'], GroupState>> = {
  quiet: NEW_GROUP,
  waiting: { ...COMMON, kind: 'waiting', dueAt: 10 },
  sending: { ...UNDER_WAY, kind: 'sending' },
  retrying: { ...UNDER_WAY, kind: 'retrying', dueAt: 10 },
};
const EVENTS: Readonly<Record<string, GroupEvent>> = {
  look: look(firing('a')),
  nothing: look(NOTHING),
  sent: { kind: 'sent' },
  failed: { kind: 'failed', retry: true, spread: 0.5 },
  refused: { kind: 'failed', retry: false, spread: 0.5 },
  receiverChanged: { kind: 'receiverChanged' },
  restarted: { kind: 'restarted' },
};

/** State after and effect, at 10 ms: when `waiting` and `retrying` are due. */
const TABLE: Readonly<Record<GroupState['kind'], Readonly<Record<string, string>>>> = {
  quiet: {
    look: 'waiting none',
    nothing: 'quiet none',
    sent: 'quiet none',
    failed: 'quiet none',
    refused: 'quiet none',
    receiverChanged: 'quiet none',
    restarted: 'quiet none',
  },
  waiting: {
    look: 'sending send',
    nothing: 'quiet none',
    sent: 'waiting none',
    failed: 'waiting none',
    refused: 'waiting none',
    receiverChanged: 'waiting none',
    restarted: 'waiting none',
  },
  sending: {
    look: 'sending none',
    nothing: 'sending none',
    sent: 'quiet sent',
    failed: 'retrying retrying',
    refused: 'quiet gaveUp',
    receiverChanged: 'sending none',
    restarted: 'retrying none',
  },
  retrying: {
    look: 'sending send',
    nothing: 'sending send',
    sent: 'retrying none',
    failed: 'retrying none',
    refused: 'retrying none',
    receiverChanged: 'retrying none',
    restarted: 'retrying none',
  },
};

describe('a group', () => {
  for (const [kind, row] of Object.entries(TABLE)) {
    for (const [event, expected] of Object.entries(row)) {
      it(`that is ${kind}, on ${event}, is ${expected}`, () => {
        const from = STATES[kind as GroupState['kind']];
        const { state, effect } = transition(from, EVENTS[event]!, 10, POLICY);
        expect(`${state.kind} ${effect}`).toBe(expected);
        expect(decodeGroup(encodeGroup(state))).toEqual(state);
      });
    }
  }

  it('of a thousand alerts is one notification, which tells the rest as a number', () => {
    const ids = Array.from({ length: 1000 }, (_, index) => `a${index}`);
    const waiting = transition(NEW_GROUP, look(firing(...ids)), 0, POLICY).state;
    const { state } = transition(waiting, look(firing(...ids)), 10, POLICY);
    expect(state).toMatchObject({ kind: 'sending', content: { firing: { length: 3 } } });
    const { state: told } = transition(state, { kind: 'sent' }, 11, POLICY);
    expect(Object.keys(told.told)).toHaveLength(1000);
    expect(transition(told, look(firing(...ids)), 500, POLICY).effect).toBe('none');
  });

  it('knows as what it had told of each before, of what is over too', () => {
    const told: GroupState = { kind: 'quiet', told: { a: 2, b: 1 }, notBefore: 0, sentAt: 0 };
    const view = {
      firing: [
        { id: 'a', rank: 1 },
        { id: 'new', rank: 1 },
      ],
      held: [],
      ended: ['b'],
    };
    const waiting = transition(told, look(view), 100, POLICY).state;
    const { state } = transition(waiting, look(view), 110, POLICY);
    expect(state).toMatchObject({ kind: 'sending', content: { was: { a: 2, b: 1 } } });
  });

  it('tells again what still fires, and nothing of what somebody acknowledged', () => {
    const told: GroupState = { kind: 'quiet', told: { a: 1 }, notBefore: 100, sentAt: 0 };
    expect(nextLookAt(told, POLICY)).toBe(1000);
    expect(transition(told, look(firing('a')), 1000, POLICY).effect).toBe('send');
    const held = transition(told, look({ ...NOTHING, held: ['a'] }), 1000, POLICY);
    expect(held.effect).toBe('none');
    expect(nextLookAt(held.state, POLICY)).toBe(2000);
  });
});

interface Act {
  readonly alert: number;
  readonly to: 'firing' | 'held' | 'ended';
  readonly waitMs: number;
  readonly answer: 'sent' | 'failed' | 'refused' | 'crash';
}

const act = fc.record<Act>({
  alert: fc.integer({ min: 0, max: 4 }),
  to: fc.constantFrom('firing', 'held', 'ended'),
  waitMs: fc.integer({ min: 1, max: 300 }),
  answer: fc.constantFrom('sent', 'failed', 'refused', 'crash'),
});

/** A world of five alerts, one receiver, and a network that does what the history says. */
class World {
  now = 0;
  state: GroupState = NEW_GROUP;
  readonly alerts = new Map<string, 'firing' | 'held'>();
  readonly seen = new Set<string>();
  readonly sentAt: number[] = [];
  #ids = 0;

  view(): GroupView {
    const ids = (state: string): string[] =>
      [...this.alerts].filter(([, each]) => each === state).map(([id]) => id);
    return {
      firing: ids('firing').map((id) => ({ id, rank: 1 })),
      held: ids('held'),
      ended: Object.keys(this.state.told).filter((id) => !this.alerts.has(id)),
    };
  }

  look(answer: Act['answer']): void {
    this.#ids += 1;
    const step = transition(this.state, look(this.view(), `n${this.#ids}`), this.now, POLICY);
    this.state = step.state;
    if (step.effect !== 'send' || this.state.kind !== 'sending') return;
    // A crash after the receiver took it: it is sent again.
    if (answer === 'sent' || answer === 'crash') {
      for (const { id } of [...this.state.content.firing, ...this.state.content.more]) {
        this.seen.add(id);
      }
    }
    if (answer === 'sent') this.sentAt.push(this.now);
    const event: GroupEvent =
      answer === 'sent'
        ? { kind: 'sent' }
        : answer === 'crash'
          ? { kind: 'restarted' }
          : { kind: 'failed', retry: answer === 'failed', spread: 0 };
    this.state = transition(decodeGroup(encodeGroup(this.state)), event, this.now, POLICY).state;
  }
}

describe('over any history', () => {
  it('every alert that goes on firing is told once the receiver answers', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const world = new World();
        for (const { alert, to, waitMs, answer } of acts) {
          // One that ended is over: what begins again later is another.
          const id = `a${alert}`;
          if (to === 'ended') world.alerts.delete(id);
          else world.alerts.set(id, to);
          world.look(answer);
          world.now += waitMs;
          world.look(answer);
        }
        for (let index = 0; index < 40; index += 1) {
          world.now = Math.max(world.now + 1, nextLookAt(world.state, POLICY) ?? 0);
          if (index > 20) world.now += 3_600_000;
          world.look('sent');
        }
        for (const [id, state] of world.alerts) {
          if (state === 'firing') expect(world.seen).toContain(id);
        }
      }),
    );
  });

  it('no two notifications are closer than the interval of the group', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const world = new World();
        for (const { alert, to, waitMs } of acts) {
          if (to === 'ended') world.alerts.delete(`a${alert}`);
          else world.alerts.set(`a${alert}`, to);
          world.look('sent');
          world.now += waitMs;
          world.look('sent');
        }
        for (const [index, at] of world.sentAt.entries()) {
          if (index === 0) continue;
          expect(at - world.sentAt[index - 1]!).toBeGreaterThanOrEqual(POLICY.groupIntervalMs);
        }
      }),
    );
  });
});
