/** A program whose instances are killed and restored from their encoded state after every entry. */
import type { StreamJobProgram } from '@runnel/shared/engine/compile-stream-job.ts';
import type { JobState } from '@runnel/shared/engine/state.ts';
import type {
  JobCounters,
  OutputCollector,
  StreamJobInstance,
} from '@runnel/shared/engine/stream-job.ts';

/** `reload` is what a disk does to state; `killed` is told what each dead instance had counted. */
export function killedAfterEveryEntry(
  program: StreamJobProgram,
  reload: (state: JobState) => JobState,
  killed: (counters: JobCounters) => void,
): StreamJobProgram {
  return {
    steps: program.steps,
    create: (state, collector) => new MortalInstance(program, state, collector, reload, killed),
  };
}

class MortalInstance implements StreamJobInstance {
  private readonly program: StreamJobProgram;
  private state: JobState;
  private readonly collector: OutputCollector;
  private readonly reload: (state: JobState) => JobState;
  private readonly killed: (counters: JobCounters) => void;
  private readonly totals: JobCounters = emptyCounters();
  private instance: StreamJobInstance;

  constructor(
    program: StreamJobProgram,
    state: JobState,
    collector: OutputCollector,
    reload: (state: JobState) => JobState,
    killed: (counters: JobCounters) => void,
  ) {
    this.program = program;
    this.state = state;
    this.collector = collector;
    this.reload = reload;
    this.killed = killed;
    this.instance = program.create(state, collector);
  }

  get counters(): JobCounters {
    return addCounters(structuredClone(this.totals), this.instance.counters);
  }

  record(...entry: Parameters<StreamJobInstance['record']>): void {
    this.instance.record(...entry);
    this.crash();
  }

  tick(...entry: Parameters<StreamJobInstance['tick']>): void {
    this.instance.tick(...entry);
    this.crash();
  }

  sourceConnected(...entry: Parameters<StreamJobInstance['sourceConnected']>): void {
    this.instance.sourceConnected(...entry);
    this.crash();
  }

  clockSynchronised(...entry: Parameters<StreamJobInstance['clockSynchronised']>): void {
    this.instance.clockSynchronised(...entry);
    this.crash();
  }

  raiseWatermark(...entry: Parameters<StreamJobInstance['raiseWatermark']>): void {
    this.instance.raiseWatermark(...entry);
    this.crash();
  }

  flush(): void {
    this.instance.flush();
  }

  nextTickMs(): ReturnType<StreamJobInstance['nextTickMs']> {
    return this.instance.nextTickMs();
  }

  watermarkMs(): ReturnType<StreamJobInstance['watermarkMs']> {
    return this.instance.watermarkMs();
  }

  private crash(): void {
    this.killed(this.instance.counters);
    addCounters(this.totals, this.instance.counters);
    this.state = this.reload(this.state);
    this.instance = this.program.create(this.state, this.collector);
  }
}

export function emptyCounters(): JobCounters {
  return { recordsIn: 0, recordsOut: 0, late: 0, deadLetters: 0, dropped: {} };
}

export function addCounters(totals: JobCounters, counters: JobCounters): JobCounters {
  totals.recordsIn += counters.recordsIn;
  totals.recordsOut += counters.recordsOut;
  totals.late += counters.late;
  totals.deadLetters += counters.deadLetters;
  for (const [reason, count] of Object.entries(counters.dropped)) {
    totals.dropped[reason] = (totals.dropped[reason] ?? 0) + count;
  }
  return totals;
}
