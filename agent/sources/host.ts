/**
 * The `host` source: readings of the device itself, one record per interval on the topic `host`.
 *
 * Guarantees: real input with nothing to set up; a reading the platform does not offer is null.
 * There is no origin that could send a reading again: one that was not committed when the agent
 * died is a gap, and one that a failed commit discarded is counted as `discarded_reading`.
 * While the commit cycle has no room no reading is taken. The first reading comes half a second
 * after the start, so that rates (`cpuPercent`, `agentCpuPercent`) have something to compare with.
 */
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { HostSampler } from '../resources/host-readings.ts';
import { SourceTally } from './source-tally.ts';
import type { Source, SourceCommit, SourceContext } from './source.ts';

const TOPIC = 'host';
const FIRST_MS = 500;

export class HostSource implements Source {
  readonly id: string;
  readonly kind = 'host';
  readonly receiveWindow = 1024;
  readonly #everyMs: number;
  readonly #sampler: HostSampler;
  readonly #tally = new SourceTally();
  #context: SourceContext | null = null;
  #cancel: (() => void) | null = null;
  #sampling: Promise<void> | null = null;
  #held = 0;
  #paused = false;
  #stopped = false;

  constructor(id: string, everyMs: number, sampler: HostSampler) {
    this.id = id;
    this.#everyMs = everyMs;
    this.#sampler = sampler;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    this.#tally.connected = true;
    context.connected(true);
    await this.#sampler.sample();
    this.#next(context, Math.min(FIRST_MS, this.#everyMs));
  }

  prepareCommit(): SourceCommit {
    return {};
  }

  committed(count: number): void {
    this.#held -= count;
  }

  discarded(): void {
    if (this.#held > 0) {
      this.#tally.drop('discarded_reading', this.#held);
      this.#context?.dropped('discarded_reading', this.#held);
    }
    this.#held = 0;
    this.#paused = false;
  }

  resume(): void {
    this.#paused = false;
  }

  report(): SourceReport {
    return this.#tally.report(this.id, this.kind);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#sampling;
  }

  #next(context: SourceContext, ms: number): void {
    if (this.#stopped) return;
    this.#cancel = context.clock.after(ms, () => {
      this.#sampling = this.#sample(context).finally(() => this.#next(context, this.#everyMs));
    });
  }

  /** Never rejects. */
  async #sample(context: SourceContext): Promise<void> {
    try {
      const reading = await this.#sampler.sample();
      if (this.#stopped || this.#paused) return;
      const payload = Buffer.from(JSON.stringify(reading));
      this.#held += 1;
      this.#tally.records += 1;
      this.#tally.bytes += payload.length;
      this.#paused = !context.offer({ topic: TOPIC, payload });
      this.#tally.error = null;
    } catch (error) {
      this.#tally.error = `the device cannot be read: ${messageOf(error)}`;
      context.log.warn({ source: this.id, error: messageOf(error) }, 'host reading failed');
    }
  }
}
