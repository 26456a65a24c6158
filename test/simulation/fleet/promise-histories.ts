/**
 * Histories of runs, records and windows from one seed, and what a naive walk of every second says
 * of the promises that they keep or break; beside it what the product says.
 */
import { FleetPromise } from '@runnel/control-plane/sla/fleet-promise.ts';
import { newEntry } from '@runnel/control-plane/sla/sla-entry.ts';
import type { Sla, SlaOf } from '@runnel/shared/definitions/sla.ts';
import { deadlineTimes } from '@runnel/shared/sla/deadlines.ts';
import { judge } from '@runnel/shared/sla/judge.ts';
import { Dice } from './dice.ts';

const START_S = 1_000_020;
const LENGTH_S = 900;
const COMMON = { name: 'it', atRisk: 0.8, objective: 0.99, windowMs: 86_400_000 };

/** Both of each second. */
export interface Verdicts {
  readonly product: string[];
  readonly naive: string[];
}

function walk(each: (second: number) => readonly [string | undefined, string]): Verdicts {
  const verdicts: Verdicts = { product: [], naive: [] };
  for (let second = START_S; second < START_S + LENGTH_S; second += 1) {
    const [product, naive] = each(second);
    verdicts.product.push(product ?? 'none');
    verdicts.naive.push(naive);
  }
  return verdicts;
}

/** Late from all of the bound on, at risk from four fifths of it. */
function byAge(age: number, bound: number): string {
  return age >= bound ? 'breached' : age * 5 >= bound * 4 ? 'atRisk' : 'met';
}

const ORDER = ['met', 'atRisk', 'breached'];
const worst = (all: readonly string[]): string =>
  ORDER.findLast((verdict) => all.includes(verdict)) ?? 'met';

interface Run {
  readonly of: number;
  readonly from: number;
  readonly to: number;
}

/** One for each minute, or none; some take long. */
function runsOf(dice: Dice): Run[] {
  const runs: Run[] = [];
  for (let of = START_S; of < START_S + LENGTH_S; of += 60) {
    if (dice.chance(0.2)) continue;
    const from = of + dice.between(0, 30);
    runs.push({ of, from, to: from + dice.between(1, dice.chance(0.2) ? 150 : 20) });
  }
  return runs;
}

/** The oldest minute that nobody has done, nor any later one, must not be too old. */
export function deadline(seed: number): Verdicts {
  const dice = new Dice(seed);
  const bound = dice.pick([10, 30, 55, 130]);
  const promise: SlaOf<'deadline'> = {
    ...{ ...COMMON, kind: 'deadline', bound: { kind: 'after', ms: bound * 1000 } },
  };
  const runs = runsOf(dice);
  const times = deadlineTimes(promise, [{ kind: 'cron', cron: '* * * * *', timezone: 'UTC' }])!;
  return walk((now) => {
    const done = runs.filter(({ to }) => to <= now).map(({ of }) => of);
    const upTo = Math.max(START_S - 1, ...done);
    const pending = times.next(upTo * 1000) ?? null;
    const facts = { pending, lastSuccessAt: null, failure: null };
    let oldest = START_S;
    while (done.some((of) => of >= oldest)) oldest += 60;
    const naive = oldest > now ? 'met' : byAge(now - oldest, bound);
    return [judge(promise, facts, now * 1000)?.verdict, naive];
  });
}

/** Neither the run that ended last nor one that runs may take too long. */
export function duration(seed: number): Verdicts {
  const dice = new Dice(seed);
  const bound = dice.pick([10, 20, 60]);
  const promise: SlaOf<'duration'> = {
    ...{ ...COMMON, kind: 'duration', bound: { kind: 'fixed', ms: bound * 1000 } },
  };
  const runs = runsOf(dice);
  return walk((now) => {
    const over = runs.filter(({ to }) => to <= now).toSorted((a, b) => a.to - b.to);
    const going = runs.filter(({ from, to }) => from <= now && now < to);
    const last = over.at(-1);
    const facts = {
      recentMs: [],
      last: last ? { endedAt: last.to * 1000, tookMs: (last.to - last.from) * 1000 } : null,
      running: going.map(({ from }) => from * 1000),
    };
    const naive = worst([
      ...going.map(({ from }) => byAge(now - from, bound)),
      ...(last === undefined ? [] : [byAge(last.to - last.from, bound)]),
    ]);
    return [judge(promise, facts, now * 1000)?.verdict, naive];
  });
}

/** Of so many so many may fail, counted in whole numbers. */
function byCount(missing: number, total: number, perMille: number): string {
  if (total === 0 || missing === 0) return 'met';
  const allowed = total * (1000 - perMille);
  if (missing * 1000 > allowed) return 'breached';
  return missing * 5000 >= allowed * 4 ? 'atRisk' : 'met';
}

export function successRate(seed: number): Verdicts {
  const dice = new Dice(seed);
  const perMille = dice.pick([500, 900, 950, 995, 1000]);
  const promise: SlaOf<'successRate'> = {
    ...{ ...COMMON, kind: 'successRate', share: perMille / 1000, overMs: 60_000 },
  };
  const records: { at: number; failed: number; total: number }[] = [];
  const failing = dice.pick([0.001, 0.01, 0.1]);
  return walk((at) => {
    const total = dice.between(0, 10);
    let failed = 0;
    for (let each = 0; each < total; each += 1) failed += dice.chance(failing) ? 1 : 0;
    records.push({ at, failed, total });
    const sum = { failed: 0, total: 0 };
    for (const each of records.slice(-60)) {
      sum.failed += each.failed;
      sum.total += each.total;
    }
    const facts = { ...sum, of: 'records' } as const;
    const naive = byCount(sum.failed, sum.total, perMille);
    return [judge(promise, facts, at * 1000)?.verdict, naive];
  });
}

const WINDOW_S = 30;

/** Devices report windows late, or never; the first of them is always in time. */
export function completeness(seed: number): Verdicts {
  const dice = new Dice(seed);
  const perMille = dice.pick([500, 800, 950, 1000]);
  const within = dice.pick([5, 20, 45]);
  const sla: Sla = {
    ...{ ...COMMON, kind: 'completeness', share: perMille / 1000, dataset: null },
    withinMs: within * 1000,
  };
  const promise = { sla, deadlines: null };
  const identity = { job: 'press', agent: null, name: 'it', promise, seesResults: true };
  const fleet = new FleetPromise(newEntry(identity, START_S * 1000), 'StreamJob');
  const agents = Array.from({ length: dice.between(1, 20) }, (_, each) => `press-${each}`);
  for (const agent of agents) fleet.targeted.add(agent);
  const reports = agents.flatMap((agent, index) => {
    const own = [];
    for (let end = START_S + WINDOW_S; end < START_S + LENGTH_S; end += WINDOW_S) {
      const isLate = index > 0 && dice.chance(0.1);
      if (index > 0 && dice.chance(0.05)) continue;
      own.push({ agent, end, at: end + (isLate ? dice.between(5, 70) : 1) });
    }
    return own;
  });
  return walk((now) => {
    for (const { agent, end, at } of reports) {
      if (at === now) fleet.reported(agent, (end - WINDOW_S) * 1000, end * 1000);
    }
    fleet.look(() => false, START_S * 1000, now * 1000);
    const windows = Math.floor((now - within - START_S) / WINDOW_S);
    const due = START_S + windows * WINDOW_S;
    const came = reports.filter(({ end, at }) => at <= now && end >= due);
    const missing = agents.length - new Set(came.map(({ agent }) => agent)).size;
    const naive = windows < 1 ? 'unknown' : byCount(missing, agents.length, perMille);
    return [fleet.entry.state.kind, naive];
  });
}
