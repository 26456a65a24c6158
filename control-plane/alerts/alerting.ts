/**
 * Alerts, put together: sources say what is wrong, the book keeps it, the notifier tells of it.
 *
 * One turn after another: rows of stream jobs, runs, devices, what other parts judge (SLAs,
 * rollouts), silences, notifications. A part of a turn that fails is logged and counted, and the
 * next turn tries again: every source is read from what is kept, so nothing is lost by that.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { AlertSource } from '../http/alert-messages.ts';
import type { RunChange } from '../intake/apply-runs.ts';
import type { EventWriter } from '../intake/event-writer.ts';
import type { HealthReport } from '../intake/fleet-health.ts';
import type { AgentRecord } from '../store/agents.ts';
import type { Schema } from '../store/schema.ts';
import { AlertBook, type AlertChanged } from './alert-book.ts';
import { DeviceWatch } from './device-watch.ts';
import { alertLabels } from './finding.ts';
import { JobRows } from './job-rows.ts';
import { Notifier } from './notifier.ts';
import { Receivers } from './receivers/receivers.ts';
import type { SecretPlace } from './receivers/secrets.ts';
import { isReconciled, type Judged, reconcile } from './reconcile.ts';
import { RunWatch } from './run-watch.ts';
import { Silences } from './silences.ts';

/** Another part that can be asked what is wrong. */
export interface JudgedSource {
  readonly source: AlertSource;
  /** The same object as before while nothing changed. */
  judge(): Judged;
}

export interface AlertingParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: Pick<EventWriter, 'append'>;
  readonly agents: () => readonly AgentRecord[];
  readonly agent: (id: string) => AgentRecord | undefined;
  /** Whether there is such a job. */
  readonly hasJob: (name: string) => boolean;
  readonly report: (agent: string) => HealthReport;
  /** Types of conditions of which nothing can be said yet. */
  readonly unjudged: (agent: string) => readonly string[];
  /** Monotonic time since when devices can be heard; null while they cannot. */
  readonly hearsSinceMs: () => number | null;
  readonly offlineAfterMs: number;
  readonly secrets: SecretPlace;
  readonly page: string;
}

const TURN_EVERY_MS = 500;
/** Turns begin this far apart: a rollout changes with every report of a device. */
const TURNS_APART_MS = 200;
const UPKEEP_EVERY_MS = 60_000;

export class Alerting {
  readonly counters = { turns: 0, turnFailures: 0 };
  readonly book: AlertBook;
  readonly silences: Silences;
  readonly receivers: Receivers;
  readonly notifier: Notifier;
  readonly #parts: AlertingParts;
  readonly #rows: JobRows;
  readonly #runs: RunWatch;
  readonly #devices: DeviceWatch;
  readonly #sources: JudgedSource[] = [];
  /** What was made of each source, and when. */
  readonly #judged = new Map<JudgedSource, { readonly judged: Judged; readonly at: number }>();
  #hasRows = true;
  #holding: string | undefined;
  #upkeepAtMs = 0;
  #cancel: () => void = () => undefined;
  #turn: Promise<void> = Promise.resolve();
  #isStopping = false;
  /** A turn is asked for that has not begun. */
  #isPoked = false;
  #beganAtMs = Number.NEGATIVE_INFINITY;

  /** Begins where the store says that the last process was. */
  static async open(parts: AlertingParts): Promise<Alerting> {
    const { db, clock, random, secrets } = parts;
    const silences = await Silences.open({ db, clock, random });
    const silencedBy = (labels: ReadonlyMap<string, string>) => silences.silencedBy(labels);
    const book = await AlertBook.open({ db, clock, random, silencedBy });
    const receivers = await Receivers.open(db, secrets);
    const notifier = await Notifier.open({ ...parts, book, receivers });
    const rows = await JobRows.open({ ...parts, book });
    return new Alerting(parts, { book, silences, receivers, notifier, rows });
  }

  private constructor(
    parts: AlertingParts,
    opened: Pick<Alerting, 'book' | 'silences' | 'receivers' | 'notifier'> & { rows: JobRows },
  ) {
    this.#parts = parts;
    this.book = opened.book;
    this.silences = opened.silences;
    this.receivers = opened.receivers;
    this.notifier = opened.notifier;
    this.#rows = opened.rows;
    this.#runs = new RunWatch({ ...parts, book: this.book });
    this.#devices = new DeviceWatch({ ...parts, book: this.book });
    this.book.onChange((changes) => {
      this.notifier.changed(changes);
      for (const change of changes) this.#tell(change);
    });
  }

  start(): void {
    this.#next(0);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancel();
    await this.#turn;
    await this.notifier.stop();
    await this.book.settled();
  }

  /** Another part is asked with every turn from now on. */
  attach(source: JudgedSource): void {
    this.#sources.push(source);
  }

  /** After a commit with alerts of jobs. */
  rowsStored(): void {
    this.#hasRows = true;
    this.poke();
  }

  runsStored(changes: readonly RunChange[]): void {
    this.#runs.stored(changes);
  }

  /** It was heard of, changed, or is gone. */
  agentChanged(agent: string): void {
    this.#devices.touch(agent);
  }

  /** The next turn begins at once, or as soon as `TURNS_APART_MS` have passed since the last. */
  poke(): void {
    if (this.#isStopping || this.#isPoked) return;
    this.#isPoked = true;
    const waitMs = this.#beganAtMs + TURNS_APART_MS - this.#parts.clock.monotonicMs();
    if (waitMs > 0) this.#next(waitMs);
    else this.#begin();
  }

  #next(afterMs: number): void {
    this.#cancel();
    this.#cancel = this.#parts.clock.after(afterMs, () => this.#begin());
  }

  #begin(): void {
    this.#cancel();
    this.#isPoked = true;
    this.#turn = this.#turn.then(() => this.#take());
  }

  async #take(): Promise<void> {
    this.#isPoked = false;
    if (this.#isStopping) return;
    this.#beganAtMs = this.#parts.clock.monotonicMs();
    this.counters.turns += 1;
    const { clock } = this.#parts;
    await this.#try('rows of jobs', () => this.#takeRows());
    await this.#try('runs', () => this.#runs.look());
    await this.#try('devices', () => this.#devices.look());
    for (const source of this.#sources) {
      await this.#try(source.source, () => this.#judge(source));
    }
    await this.#try('silences', () => this.#matchSilences());
    await this.#try('notifications', () => this.notifier.look());
    if (clock.monotonicMs() - this.#upkeepAtMs >= UPKEEP_EVERY_MS) {
      this.#upkeepAtMs = clock.monotonicMs();
      await this.#try('upkeep', () => this.#upkeep());
    }
    if (!this.#isStopping && !this.#isPoked) this.#next(TURN_EVERY_MS);
  }

  async #try(part: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.counters.turnFailures += 1;
      this.#parts.log.error({ err: error, part }, 'alerts were not judged; the next turn tries');
    }
  }

  async #takeRows(): Promise<void> {
    if (!this.#hasRows) return;
    this.#hasRows = false;
    try {
      await this.#rows.take(() => this.#parts.clock.sleep(0));
    } catch (error) {
      this.#hasRows = true;
      throw error;
    }
  }

  async #judge(judging: JudgedSource): Promise<void> {
    const at = this.#parts.clock.now();
    const judged = judging.judge();
    const before = this.#judged.get(judging);
    // Texts that change are written now and then, without a change being told.
    if (before?.judged === judged && at - before.at < UPKEEP_EVERY_MS) return;
    const open = [...this.book.openAlerts()].filter(({ source }) => source === judging.source);
    if (!isReconciled(open, judged, at)) {
      await this.book.commit((draft) => reconcile(draft, open, judged, at));
    }
    this.#judged.set(judging, { judged, at });
  }

  /** Only when another set of silences holds: alerts that begin are matched where they begin. */
  async #matchSilences(): Promise<void> {
    const holding = this.silences.holding();
    if (holding === this.#holding) return;
    await this.book.commit((draft) => {
      for (const alert of this.book.openAlerts()) {
        const by = this.silences.silencedBy(alertLabels(alert));
        if (by === alert.silencedBy) continue;
        draft.change(alert.alert, by === null ? { kind: 'unsilence' } : { kind: 'silence', by });
      }
    });
    this.#holding = holding;
  }

  async #upkeep(): Promise<void> {
    this.book.forgetEnded();
    await this.#rows.endMessages();
    await this.silences.forgetEnded();
    const { clock, hasJob } = this.#parts;
    const ofGone = [...this.book.openAlerts()].filter(
      ({ source, job }) => (source === 'job' || source === 'run') && job !== null && !hasJob(job),
    );
    if (ofGone.length === 0) return;
    await this.book.commit((draft) => {
      for (const { fingerprint } of ofGone) draft.resolve(fingerprint, clock.now());
    });
  }

  #tell({ alert, change }: AlertChanged): void {
    if (change !== 'opened' && change !== 'reopened' && change !== 'resolved') return;
    const { events, clock } = this.#parts;
    const { agent, job, title, message, severity } = alert;
    const over = change === 'resolved';
    events.append({
      at: clock.now(),
      agent,
      job,
      type: 'alert',
      severity: over ? 'ok' : severity,
      message: over ? `resolved: ${title}` : `${title}: ${message}`,
      data: { alert: alert.alert, source: alert.source, change },
    });
  }
}
