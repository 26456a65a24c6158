/**
 * Event time of one source: its watermark, per source or per topic, and whether it is idle.
 *
 * A partition (the source itself, or each of its topics) has a watermark of its latest event time −
 * `maxOutOfOrderness` − 1 ms. A partition that was silent for `idleTimeout` of `now` is idle and
 * holds nothing back; one whose source is disconnected is not idle. With `watermarkPer: key` the
 * steps keep the watermarks, and the source has only the floor that it was raised to.
 *
 * State is plain data; the timers of topics are rebuilt from it.
 */
import type { SourceDefinition } from '../definitions/sources/registry.ts';
import { limits } from '../limits.ts';
import { KeyTimers } from './key-timers.ts';
import type { JobState, KeyedState } from './state.ts';

/** Event time of a partition. */
interface Partition {
  /** The watermark of its records; −Infinity before the first. */
  m: number;
  /** The `now` of its last record, or of its beginning; −Infinity before. */
  a: number;
  /** Idle. */
  i: boolean;
}

export interface SourceTimeState extends Partition {
  /** The `time:` that `m` was made with; another one begins anew. */
  x: string;
  /** What the watermark was raised to from outside; −Infinity when it was not. */
  f: number;
  /** Connected. */
  c: boolean;
}

export function newSourceTime(source: SourceDefinition): SourceTimeState {
  return { x: fingerprintOf(source), m: -Infinity, f: -Infinity, a: -Infinity, i: false, c: true };
}

function fingerprintOf(source: SourceDefinition): string {
  return `${source.watermarkPer} ${source.time ?? ''}`;
}

/** Name of the state that holds a source's topics. */
export function topicsStep(alias: string): string {
  return `$topics:${alias}`;
}
/** Topics beyond `limits.watermarkTopicsMax` share this partition; no MQTT topic is empty. */
const SHARED_TOPIC = '';

export class SourceTime {
  readonly perKey: boolean;
  readonly perTopic: boolean;
  private readonly idleTimeoutMs: number;
  private readonly outOfOrdernessMs: number;
  private readonly state: SourceTimeState;
  private readonly topics: KeyedState<Partition> | undefined;
  private readonly sharing: () => void;
  private readonly idleTimers = new KeyTimers();
  /** Topics that are not idle, and the least watermark of them; NaN when it must be found. */
  private activeTopics = 0;
  private leastMs = NaN;

  /** `sharing` is called when topics beyond the bound begin to share a partition. */
  constructor(
    source: SourceDefinition,
    state: SourceTimeState,
    jobState: JobState,
    sharing: () => void,
  ) {
    this.sharing = sharing;
    this.perKey = source.watermarkPer === 'key';
    this.perTopic = source.watermarkPer === 'topic';
    this.idleTimeoutMs = source.idleTimeout ?? Infinity;
    this.outOfOrdernessMs = source.maxOutOfOrderness;
    this.state = state;
    this.topics = this.perTopic ? jobState.step<Partition>(topicsStep(source.alias), 1) : undefined;
    if (state.x !== fingerprintOf(source)) this.begin(source);
    for (const [topic, partition] of this.topics?.entries() ?? []) {
      if (partition.i) continue;
      this.activeTopics += 1;
      this.idleTimers.set(topic, partition.a + this.idleTimeoutMs);
    }
  }

  /** The watermark that a record of this event time makes. */
  watermarkBy(timeMs: number): number {
    return timeMs - this.outOfOrdernessMs - 1;
  }

  /** Takes the event time of a record that has been processed. True when more may be complete. */
  advance(topic: string, timeMs: number, nowMs: number): boolean {
    const { state, topics } = this;
    state.a = nowMs;
    const wokeUp = state.i;
    state.i = false;
    if (this.perKey) return wokeUp;
    const watermarkMs = this.watermarkBy(timeMs);
    if (topics !== undefined) return this.advanceTopic(topics, topic, watermarkMs, nowMs);
    if (watermarkMs <= state.m) return wokeUp;
    state.m = watermarkMs;
    return true;
  }

  raise(watermarkMs: number): void {
    if (watermarkMs > this.state.f) this.state.f = watermarkMs;
  }

  /** The source is known from this `now` on, so its silence counts from here. */
  start(nowMs: number): void {
    if (this.state.a === -Infinity) this.state.a = nowMs;
  }

  connect(connected: boolean, nowMs: number): void {
    const { state } = this;
    if (state.c === connected) return;
    state.c = connected;
    state.a = nowMs;
    state.i = false;
    this.activeTopics = 0;
    this.leastMs = NaN;
    for (const [topic, partition] of [...(this.topics?.entries() ?? [])]) {
      partition.i = false;
      partition.a = nowMs;
      this.topics?.put(topic, partition);
      this.idleTimers.set(topic, nowMs + this.idleTimeoutMs);
      this.activeTopics += 1;
    }
  }

  /** Marks what has been silent for too long. True when something became idle. */
  checkIdle(nowMs: number): boolean {
    if (nowMs < this.idleAtMs()) return false;
    const { state, topics } = this;
    let changed = false;
    if (topics !== undefined) {
      changed = this.checkIdleTopics(topics, nowMs);
      if (this.activeTopics > 0) return changed;
    }
    if (!state.i && nowMs - state.a >= this.idleTimeoutMs) {
      state.i = true;
      changed = true;
    }
    return changed;
  }

  /** The earliest `now` at which something may become idle; Infinity when nothing can. */
  idleAtMs(): number {
    if (this.idleTimeoutMs === Infinity || !this.state.c) return Infinity;
    if (this.activeTopics > 0) return this.idleTimers.earliestMs();
    return this.state.i || this.state.a === -Infinity
      ? Infinity
      : this.state.a + this.idleTimeoutMs;
  }

  get idle(): boolean {
    return this.state.i;
  }

  /** The watermark of what is not idle; −Infinity before the first record. */
  watermarkMs(): number {
    const { state } = this;
    if (this.topics === undefined) return Math.max(state.m, state.f);
    if (this.activeTopics === 0) return state.f;
    if (Number.isNaN(this.leastMs)) this.leastMs = this.findLeast(this.topics);
    return Math.max(this.leastMs, state.f);
  }

  /**
   * The watermark of an idle source, which goes on with `now` from its last record; Infinity when
   * it has never had one and so knows no event time.
   */
  idleWatermarkMs(nowMs: number): number {
    let watermarkMs = Infinity;
    for (const { m, a } of this.partitions()) {
      if (m !== -Infinity) watermarkMs = Math.min(watermarkMs, m + nowMs - a);
    }
    return Math.max(watermarkMs, this.state.f);
  }

  private *partitions(): Iterable<Partition> {
    if (this.topics === undefined) yield this.state;
    else for (const [, partition] of this.topics.entries()) yield partition;
  }

  private begin(source: SourceDefinition): void {
    Object.assign(this.state, newSourceTime(source));
    for (const [topic] of [...(this.topics?.entries() ?? [])]) this.topics?.delete(topic);
  }

  private advanceTopic(
    topics: KeyedState<Partition>,
    name: string,
    watermarkMs: number,
    nowMs: number,
  ): boolean {
    let topic = name;
    let partition = topics.get(topic);
    if (partition === undefined && topics.size >= limits.watermarkTopicsMax) {
      topic = SHARED_TOPIC;
      partition = topics.get(topic);
    }
    const isNew = partition === undefined || partition.i;
    partition ??= { m: -Infinity, a: nowMs, i: false };
    const wasLeast = isNew || Number.isNaN(this.leastMs) || partition.m === this.leastMs;
    if (isNew) this.activeTopics += 1;
    if (isNew && topic === SHARED_TOPIC) this.sharing();
    partition.i = false;
    partition.a = nowMs;
    partition.m = Math.max(partition.m, watermarkMs);
    topics.put(topic, partition);
    if (this.idleTimeoutMs !== Infinity) {
      this.idleTimers.setEarlier(topic, nowMs + this.idleTimeoutMs);
    }
    if (wasLeast) this.leastMs = NaN;
    return wasLeast;
  }

  private checkIdleTopics(topics: KeyedState<Partition>, nowMs: number): boolean {
    let changed = false;
    for (;;) {
      const topic = this.idleTimers.pop(nowMs);
      if (topic === undefined) return changed;
      const partition = topics.get(topic);
      if (partition === undefined || partition.i) continue;
      const idleAtMs = partition.a + this.idleTimeoutMs;
      if (idleAtMs > nowMs) {
        this.idleTimers.set(topic, idleAtMs);
        continue;
      }
      partition.i = true;
      topics.put(topic, partition);
      this.activeTopics -= 1;
      this.leastMs = NaN;
      changed = true;
    }
  }

  private findLeast(topics: KeyedState<Partition>): number {
    let leastMs = Infinity;
    for (const [, partition] of topics.entries()) {
      if (!partition.i && partition.m < leastMs) leastMs = partition.m;
    }
    return leastMs;
  }
}
