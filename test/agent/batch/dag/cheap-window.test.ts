import { describe, expect, it } from 'vitest';
import { durationMs, epochMs } from '@runnel/shared/ids.ts';
import type { CheapWindow } from '@runnel/shared/definitions/batch-job.ts';
import { judgeWindow, type Surroundings } from '@runnel/agent/batch/dag/cheap-window.ts';

const DAY_MS = 86_400_000;
const CHEAP: Surroundings = { power: 'mains', network: 'unmetered' };

function windowOf(more: Partial<CheapWindow>): CheapWindow {
  const none = { hours: null, power: null, network: null } as const;
  return { ...none, waitAtMostMs: durationMs(DAY_MS), otherwise: 'run', ...more };
}

function nightly(from: number, to: number, timezone = 'UTC'): CheapWindow {
  return windowOf({ hours: { from: from * 60, to: to * 60, timezone } });
}

function at(window: CheapWindow, iso: string, around: Partial<Surroundings> = {}, known = true) {
  const nowMs = epochMs(Date.parse(iso));
  return judgeWindow(window, nowMs, { nowMs, known }, { ...CHEAP, ...around });
}

describe('hours', () => {
  it.each<[number, number, string, string]>([
    [1, 5, '00:59', 'closed'],
    [1, 5, '01:00', 'open'],
    [1, 5, '04:59', 'open'],
    [1, 5, '05:00', 'closed'],
    // Over midnight.
    [22, 6, '21:59', 'closed'],
    [22, 6, '22:00', 'open'],
    [22, 6, '00:00', 'open'],
    [22, 6, '05:59', 'open'],
    [22, 6, '06:00', 'closed'],
    [22, 24, '23:59', 'open'],
    [22, 24, '00:00', 'closed'],
  ])('from %i to %i are at %s %s', (from, to, time, expected) => {
    expect(at(nightly(from, to), `2026-12-01T${time}:00Z`).kind).toBe(expected);
  });

  it('are those of the zone, summer time included', () => {
    const paris = nightly(1, 5, 'Europe/Paris');
    expect(at(paris, '2026-12-01T00:00:00Z').kind).toBe('open');
    expect(at(paris, '2026-12-01T04:00:00Z').kind).toBe('closed');
    expect(at(paris, '2026-07-01T03:30:00Z').kind).toBe('closed');
    expect(at(paris, '2026-06-30T23:00:00Z').kind).toBe('open');
    // 01:00 to 03:00 on a day that skips from 02:00 to 03:00: an hour long.
    const short = nightly(1, 3, 'Europe/Paris');
    expect(at(short, '2026-03-29T00:59:00Z').kind).toBe('open');
    expect(at(short, '2026-03-29T01:00:00Z').kind).toBe('closed');
  });

  it('are not taken for open by a device that does not know the time', () => {
    expect(at(nightly(1, 5), '1970-01-01T02:00:00Z', {}, false)).toMatchObject({
      kind: 'closed',
      reason: 'waits for 01:00-05:00 UTC (the device does not know the time); runs all the same',
    });
  });
});

describe('power and network', () => {
  it('are asked for together with the hours, and what lacks is named', () => {
    const window = { ...nightly(22, 6), power: 'mains', network: 'unmetered' } as const;
    expect(at(window, '2026-12-01T23:00:00Z').kind).toBe('open');
    const around = { power: 'battery', network: 'metered' } as const;
    expect(at(window, '2026-12-01T12:00:00Z', around)).toEqual({
      kind: 'closed',
      reason:
        'waits for 22:00-06:00 UTC, mains power, an unmetered network (it is metered now); ' +
        'runs all the same at 2026-12-02T12:00:00.000Z',
      until: Date.parse('2026-12-02T12:00:00Z'),
    });
  });

  it('a network that is not there is not cheap', () => {
    const window = windowOf({ network: 'unmetered' });
    expect(at(window, '2026-12-01T12:00:00Z', { network: 'none' })).toMatchObject({
      kind: 'closed',
      reason: expect.stringContaining('an unmetered network (there is none)') as string,
    });
  });
});

describe('who has waited as long as the job says', () => {
  const since = Date.parse('2026-12-01T12:00:00Z');
  const late = { nowMs: epochMs(since + DAY_MS), known: true };
  const battery = { ...CHEAP, power: 'battery' } as const;

  it('runs all the same, or is left out', () => {
    const window = windowOf({ power: 'mains' });
    expect(judgeWindow(window, since, late, battery).kind).toBe('open');
    expect(judgeWindow({ ...window, otherwise: 'skip' }, since, late, battery)).toEqual({
      kind: 'missed',
      reason: 'mains power',
    });
    expect(judgeWindow({ ...window, otherwise: 'skip' }, since, late, CHEAP).kind).toBe('open');
  });
});
