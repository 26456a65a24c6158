/**
 * Watches what the agent counts as lost and raises `dropped/sources`, `dropped/jobs` and
 * `dropped/storage`: one condition per axis, with every cause and its count since it was raised.
 *
 * A loss is a record that came in, or a row that was made, and that reaches nobody by itself any
 * more: refused for its size, skipped, shed by a bound, too late with nothing that takes `late`, or
 * quarantined as a dead letter until a person looks. Steps that pass a part on by intent lose
 * nothing, nor do duplicates that were recognised and bounds of what is only remembered.
 *
 * Guarantees: a loss raises the condition with the next look; it clears after `limits.lossQuietMs`
 * without another, so that a trickle is one condition. Totals of jobs outlive the process: what
 * they were when a job was first seen is no news. Nothing of the watch itself outlives it.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { JobReport, SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { Conditions } from './conditions.ts';

export interface Counted {
  readonly jobs: readonly JobReport[];
  readonly sources: readonly SourceReport[];
  readonly counters: Readonly<Record<string, number>>;
}

const LOSS_AXES = ['sources', 'jobs', 'storage'] as const;
type LossAxis = (typeof LOSS_AXES)[number];

interface Loss {
  readonly axis: LossAxis;
  /** What is counted, and what it is to people: two sources may be called the same. */
  readonly key: string;
  readonly cause: string;
  /** So far. */
  readonly count: number;
  /** The job whose total it is; null when it is counted from the start of the process. */
  readonly job: string | null;
}

interface Raised {
  readonly byCause: Map<string, number>;
  lastAtMs: number;
}

/** Reasons under which a job counts what it did not lose. */
const NO_LOSS: ReadonlySet<string> = new Set([
  'duplicate',
  'identities_max',
  'keys_forgotten',
  'topics_max',
]);

/** Counters of the agent that are losses, and what they are to people. */
const COUNTERS: readonly (readonly [string, LossAxis, string])[] = [
  ['outbox_rows_lost', 'storage', 'rows for the control plane that found no room'],
  ['outbox_gap_rows', 'storage', 'rows that a restored control plane no longer has'],
  ['dead_letters_dropped', 'storage', 'the oldest dead letters'],
  ['sink_rows_lost', 'jobs', 'rows that waited for a local sink'],
  ['broker_retained_full', 'sources', 'retained messages beyond the bound of the broker'],
  ['broker_subscriber_queue_full', 'sources', 'messages for slow subscribers of the broker'],
];

export class LossWatch {
  readonly #clock: Clock;
  readonly #conditions: Conditions;
  #jobs: ReadonlySet<string> = new Set();
  #counts: ReadonlyMap<string, number> = new Map();
  readonly #raised = new Map<LossAxis, Raised>();

  constructor({ clock, conditions }: { readonly clock: Clock; readonly conditions: Conditions }) {
    this.#clock = clock;
    this.#conditions = conditions;
  }

  /** To be called after every change of jobs too, so that a new one is known before it loses. */
  check(counted: Counted): void {
    const nowMs = this.#clock.monotonicMs();
    const counts = new Map<string, number>();
    const grown = new Set<LossAxis>();
    for (const loss of lossesOf(counted)) {
      const before = this.#before(loss);
      // What a commit that failed takes back is counted again, and is no news then.
      counts.set(loss.key, loss.job === null ? loss.count : Math.max(loss.count, before));
      if (loss.count <= before) continue;
      this.#add(loss, loss.count - before, nowMs);
      grown.add(loss.axis);
    }
    this.#counts = counts;
    this.#jobs = new Set(counted.jobs.filter(hasRun).map(({ name }) => name));
    for (const axis of LOSS_AXES) this.#tell(axis, grown.has(axis), nowMs);
  }

  #before({ key, count, job }: Loss): number {
    if (job !== null && !this.#jobs.has(job)) return count;
    const before = this.#counts.get(key) ?? 0;
    // A source that was made anew counts from zero.
    return job === null && count < before ? 0 : before;
  }

  #add({ axis, cause }: Loss, count: number, nowMs: number): void {
    const raised = this.#raised.get(axis) ?? { byCause: new Map<string, number>(), lastAtMs: 0 };
    raised.byCause.set(cause, (raised.byCause.get(cause) ?? 0) + count);
    raised.lastAtMs = nowMs;
    this.#raised.set(axis, raised);
  }

  #tell(axis: LossAxis, grown: boolean, nowMs: number): void {
    const raised = this.#raised.get(axis);
    if (raised === undefined) return;
    const type = `dropped/${axis}`;
    if (nowMs - raised.lastAtMs >= limits.lossQuietMs) {
      this.#raised.delete(axis);
      this.#conditions.clear(type);
    } else if (grown) {
      const message = lossText(raised.byCause);
      const reason = 'RecordsDropped';
      this.#conditions.set({ type, axis, severity: 'warning', reason, message });
    }
  }
}

/** Only such a job has totals. */
const hasRun = ({ version }: JobReport): boolean => version !== null;

function lossesOf({ jobs, sources, counters }: Counted): Loss[] {
  const ofSources = sources.flatMap(({ id, label, dropped }) =>
    Object.entries(dropped).map(([reason, count]): Loss => {
      const cause = `${label ?? id}: ${reason}`;
      return { axis: 'sources', key: `source ${id} ${reason}`, cause, count, job: null };
    }),
  );
  const ofAgent = COUNTERS.map(([key, axis, cause]): Loss => {
    return { axis, key, cause, count: counters[key] ?? 0, job: null };
  });
  return [...jobs.filter(hasRun).flatMap(lossesOfJob), ...ofSources, ...ofAgent];
}

function lossesOfJob({ name, dropped, deadLetters, deadLettersBy = {} }: JobReport): Loss[] {
  const loss = (what: string, count: number): Loss => {
    const cause = `${name}: ${what}`;
    return { axis: 'jobs', key: `job ${cause}`, cause, count, job: name };
  };
  const told = Object.values(deadLettersBy).reduce((sum, count) => sum + count, 0);
  return [
    ...Object.entries(dropped)
      .filter(([reason]) => !NO_LOSS.has(reason))
      .map(([reason, count]) => loss(reason, count)),
    ...Object.entries(deadLettersBy).map(([key, count]) => loss(`dead letters, ${key}`, count)),
    loss('dead letters', deadLetters - told),
  ];
}

/** `1204 records were lost or set aside: press: late (1200), press/+/rms: truncated_line (4)`. */
function lossText(byCause: ReadonlyMap<string, number>): string {
  const causes = [...byCause].toSorted(([, a], [, b]) => b - a);
  const total = causes.reduce((sum, [, count]) => sum + count, 0);
  const told = causes.slice(0, limits.lossCausesToldMax);
  const more = causes.length - told.length;
  const texts = told.map(([cause, count]) => `${cause} (${count})`);
  if (more > 0) texts.push(`and ${more} more causes`);
  const what = total === 1 ? '1 record was' : `${total} records were`;
  return `${what} lost or set aside: ${texts.join(', ')}`.slice(0, 2000);
}
