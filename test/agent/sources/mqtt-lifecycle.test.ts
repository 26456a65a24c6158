/** The life of a connection as a table: what follows what, and how long is waited. */
import { describe, expect, it } from 'vitest';
import {
  type MqttEvent,
  type MqttState,
  defaultBackoff,
  initialState,
  transition,
} from '@runnel/agent/sources/mqtt-lifecycle.ts';

const due = (held = 0): MqttEvent => ({ type: 'due', held });
const closed = (fields: { slow?: boolean; atOnce?: boolean } = {}): MqttEvent => ({
  type: 'closed',
  slow: false,
  atOnce: false,
  ...fields,
});
const connack = (mustClear: boolean): MqttEvent => ({ type: 'connack', mustClear });

function run(events: readonly MqttEvent[], from: MqttState = initialState) {
  let state = from;
  const effects: string[] = [];
  for (const event of events) {
    const step = transition(state, event, defaultBackoff);
    state = step.state;
    for (const effect of step.effects) {
      effects.push(effect.do === 'wait' ? `wait ${effect.ms}` : effect.do);
    }
  }
  return { phase: state.phase, effects };
}

describe('the life of a broker connection', () => {
  it('goes from waiting to live', () => {
    expect(run([due(), connack(false), { type: 'granted' }])).toEqual({
      phase: 'live',
      effects: ['open', 'subscribe', 'announceLive'],
    });
  });

  it('subscribes in a new session only when the old one is cleared on disk', () => {
    expect(run([due(), connack(true)])).toEqual({ phase: 'clearing', effects: ['open', 'clear'] });
    expect(run([due(), connack(true), { type: 'cleared' }]).phase).toBe('subscribing');
  });

  it('connects again only when nothing of the old connection is held', () => {
    expect(run([due(3)])).toEqual({ phase: 'waiting', effects: [] });
    expect(run([due(3), { type: 'drained' }])).toEqual({ phase: 'connecting', effects: ['open'] });
    expect(run([{ type: 'drained' }])).toEqual({ phase: 'waiting', effects: [] });
  });

  it('waits twice as long after each failure, up to the bound, and little after success', () => {
    const failures = Array.from({ length: 8 }, () => [due(), closed()]).flat();
    expect(run(failures).effects.filter((effect) => effect.startsWith('wait'))).toEqual(
      [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].map((ms) => `wait ${ms}`),
    );
    const live = [due(), connack(false), { type: 'granted' }] as const;
    expect(run([...failures, ...live, closed()]).effects.at(-1)).toBe('wait 500');
  });

  it('waits long after a refusal that a person must mend, and not to change the version', () => {
    expect(run([due(), closed({ slow: true })]).effects).toEqual(['open', 'wait 15000']);
    expect(run([due(), closed({ atOnce: true })]).effects).toEqual(['open', 'wait 0']);
  });

  it('does nothing more once it is stopped, whatever comes', () => {
    const events: MqttEvent[] = [due(), { type: 'drained' }, connack(true), closed()];
    for (const event of events) {
      expect(run([{ type: 'stop' }, event])).toEqual({ phase: 'stopped', effects: [] });
    }
  });

  it('ignores what comes too late', () => {
    expect(run([closed()])).toEqual({ phase: 'waiting', effects: [] });
    expect(run([connack(false), { type: 'granted' }, { type: 'cleared' }]).effects).toEqual([]);
  });
});
