import { describe, expect, it } from 'vitest';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { type Sla, type SlaOf, slaTarget } from '@runnel/shared/definitions/sla.ts';
import { deadlineTimes } from '@runnel/shared/sla/deadlines.ts';
import { judge } from '@runnel/shared/sla/judge.ts';

function promise(fields: Record<string, unknown>): Sla {
  const job = parseJobDocument({
    apiVersion: 'runnel/v1',
    kind: 'BatchJob',
    metadata: { name: 'promises' },
    tasks: [{ id: 'one', value: { value: 1 } }],
    sla: [{ name: 'it', ...fields }],
  });
  return job.sla[0]!;
}

const MIN = 60_000;

describe('freshness: 2m', () => {
  const fresh = promise({ freshness: '2m' }) as SlaOf<'freshness'>;
  //  0 result    96 s at risk    120 s breached
  it.each([
    [0, 'met', 0, 96_000],
    [95_999, 'met', 0, 96_000],
    [96_000, 'atRisk', 96_000, 120_000],
    [120_000, 'breached', 120_000, Infinity],
    [190_000, 'breached', 120_000, Infinity],
  ])('%i ms after the last result is %s', (now, verdict, from, nextAt) => {
    const judged = judge(fresh, { lastAt: 0, sinceAt: 0 }, now);
    expect(judged).toMatchObject({ verdict, from, nextAt });
  });

  it('says what was measured and what was promised', () => {
    const judged = judge(fresh, { lastAt: 0, sinceAt: 0 }, 190_000);
    expect(judged?.cause).toBe('no result for 3m10s, promised every 2m');
  });

  it('counts silence only from when somebody could hear', () => {
    const judged = judge(fresh, { lastAt: 0, sinceAt: 180_000 }, 190_000);
    expect(judged?.verdict).toBe('met');
  });
});

describe('deliveryLag: 30s', () => {
  const lag = promise({ deliveryLag: '30s' }) as SlaOf<'deliveryLag'>;
  it('is breached by what waits longer, and by what came later', () => {
    const waits = (ms: number) => judge(lag, { oldestAt: 0, delivered: null }, ms)?.verdict;
    expect([waits(23_000), waits(24_000), waits(30_000)]).toEqual(['met', 'atRisk', 'breached']);
    const came = { oldestAt: null, delivered: { at: 100_000, lagMs: 31_000 } };
    expect(judge(lag, came, 100_000)).toMatchObject({ verdict: 'breached', nextAt: 130_000 });
    expect(judge(lag, came, 130_000)?.verdict).toBe('met');
    expect(judge(lag, { oldestAt: null, delivered: null }, 5)?.verdict).toBe('met');
  });
});

describe('successRate: 99.5%', () => {
  const rate = promise({ successRate: '99.5%' }) as SlaOf<'successRate'>;
  it.each([
    [0, 0, 'met'],
    [1000, 0, 'met'],
    [1000, 3, 'met'],
    [1000, 4, 'atRisk'],
    [1000, 5, 'atRisk'],
    [1000, 6, 'breached'],
    [10, 1, 'breached'],
  ])('of %i records %i failed: %s', (total, failed, verdict) => {
    expect(judge(rate, { total, failed, of: 'records' }, 7)?.verdict).toBe(verdict);
  });
});

describe('duration', () => {
  const fixed = promise({ duration: '10m' }) as SlaOf<'duration'>;
  const recent = promise({ duration: { recent: '150%', runs: 5 } }) as SlaOf<'duration'>;
  const none = { recentMs: [], last: null, running: [] };

  it('is breached while a run takes too long, before it has ended', () => {
    const judged = judge(fixed, { ...none, running: [0] }, 10 * MIN);
    expect(judged).toMatchObject({ verdict: 'breached', from: 10 * MIN });
    expect(judge(fixed, { ...none, running: [0] }, 8 * MIN)?.verdict).toBe('atRisk');
  });

  it('is what the last run took once none runs', () => {
    const last = { endedAt: 50, tookMs: 11 * MIN };
    expect(judge(fixed, { ...none, last }, 60)).toMatchObject({ verdict: 'breached', from: 50 });
    const quick = { endedAt: 50, tookMs: MIN };
    expect(judge(fixed, { ...none, last: quick }, 60)?.verdict).toBe('met');
  });

  it('needs three runs to have an average, and goes by the newest', () => {
    const last = { endedAt: 50, tookMs: 4 * MIN };
    const two = judge(recent, { ...none, recentMs: [MIN, MIN], last }, 60);
    expect(two).toMatchObject({ verdict: 'met', cause: '2 runs so far: 3 make an average' });
    const old = [90, 90, 90].map((minutes) => minutes * MIN);
    const recentMs = [...old, ...Array.from({ length: 5 }, () => 2 * MIN)];
    const slow = judge(recent, { ...none, recentMs, last }, 60);
    expect(slow).toMatchObject({
      verdict: 'breached',
      cause: 'the last run took 4m, promised 3m, 150% of the last 5 runs',
    });
  });
});

describe('completeness', () => {
  const complete = promise({ completeness: { share: '90%', within: '5m' } });
  const facts = { due: { endAt: 0, dueAt: 5 * MIN }, nextDueAt: 15 * MIN, targeted: 20 };

  it('tells those that cannot be heard from those that are late', () => {
    const judged = judge(
      complete as SlaOf<'completeness'>,
      { ...facts, reported: 17, unreachable: 2 },
      6 * MIN,
    );
    expect(judged).toMatchObject({ verdict: 'breached', from: 5 * MIN });
    expect(judged?.cause).toBe(
      '17 of 20 devices reported what ended 1970-01-01 00:00 UTC (2 unreachable, 1 late), ' +
        'promised 90%',
    );
  });

  it.each([
    [20, 'met'],
    [19, 'met'],
    [18, 'atRisk'],
    [17, 'breached'],
  ])('of 20 devices %i reported: %s', (reported, verdict) => {
    const judged = judge(
      complete as SlaOf<'completeness'>,
      { ...facts, reported, unreachable: 0 },
      6 * MIN,
    );
    expect(judged?.verdict).toBe(verdict);
  });
});

describe('deadline: 06:00 Europe/Paris of a job at 00:15', () => {
  const deadline = promise({
    deadline: { at: '06:00', timezone: 'Europe/Paris' },
  }) as SlaOf<'deadline'>;
  const times = deadlineTimes(deadline, [
    { kind: 'cron', cron: '15 0 * * *', timezone: 'Europe/Paris' },
  ])!;
  const at = (text: string): number => Date.parse(text);
  const facts = (doneUpTo: string) => ({
    pending: times.next(at(doneUpTo)) ?? null,
    lastSuccessAt: at(doneUpTo),
    failure: null,
  });

  //  23:15Z the run is asked for ──── 80 % 03:51Z ──── 05:00Z is 06:00 in Paris
  it.each([
    ['2026-11-29T22:00:00Z', 'met'],
    ['2026-11-29T23:15:00Z', 'met'],
    ['2026-11-30T03:51:00Z', 'atRisk'],
    ['2026-11-30T05:00:00Z', 'breached'],
    ['2026-12-03T05:00:00Z', 'breached'],
  ])('at %s, not done, is %s', (now, verdict) => {
    expect(judge(deadline, facts('2026-11-28T23:15:00Z'), at(now))?.verdict).toBe(verdict);
  });

  it('is breached since its deadline, however late somebody looks', () => {
    const judged = judge(deadline, facts('2026-11-28T23:15:00Z'), at('2026-12-03T05:00:00Z'));
    expect(judged?.from).toBe(at('2026-11-30T05:00:00Z'));
  });

  it('is kept by a run that stands for a later time too', () => {
    const judged = judge(deadline, facts('2026-12-01T23:15:00Z'), at('2026-12-02T22:00:00Z'));
    expect(judged?.verdict).toBe('met');
  });

  it('keeps its time of day over a change of the clocks', () => {
    const before = times.next(at('2026-10-23T23:00:00Z'));
    const after = times.next(at('2026-10-24T23:00:00Z'));
    expect(before?.dueAt).toBe(at('2026-10-25T05:00:00Z'));
    expect(after?.dueAt).toBe(at('2026-10-26T05:00:00Z'));
  });

  it('counts from the schedule with `after`', () => {
    const soon = promise({ deadline: { after: '2h' } }) as SlaOf<'deadline'>;
    const next = deadlineTimes(soon, [{ kind: 'every', every: '1h', timezone: 'UTC' }])!.next(1);
    expect(next).toEqual({ at: 60 * MIN, dueAt: 180 * MIN });
    expect(deadlineTimes(soon, [])).toBeNull();
  });
});

describe('the target for people', () => {
  it.each([
    [{ freshness: '2m' }, '2m'],
    [{ successRate: '99.5%', over: '1h' }, '99.5% over 1h'],
    [{ deadline: { at: '06:00', timezone: 'Europe/Paris' } }, '06:00 Europe/Paris'],
    [{ deadline: { after: '2h' } }, '2h after its time'],
    [{ duration: { recent: '150%' } }, '150% of the last 10 runs'],
    [{ completeness: '95%' }, '95% within 5m'],
  ])('%j is %s', (fields, text) => {
    expect(slaTarget(promise(fields))).toBe(text);
  });
});
