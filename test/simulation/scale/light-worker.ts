/**
 * A process of light agents. It ends when the simulator says so or is gone; Ctrl-C is the
 * simulator's business.
 */
import pino from 'pino';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { enrolDevice, type EnrolledDevice } from './enrol-device.ts';
import { Gate } from './flaky-network.ts';
import { LightAgent } from './light-agent.ts';
import type {
  FromWorker,
  Moment,
  ToWorker,
  WorkerCounters,
  WorkerPart,
} from './worker-messages.ts';

const ENROLMENTS_AT_ONCE = 8;
const ENROL_TRIES_MAX = 5;
const TELL_MS = 50;
const DRAIN_LOOK_MS = 100;

export function runWorker(): void {
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
  const worker = new LightWorker((message) => process.send?.(message));
  process.on('message', (order: ToWorker) => {
    worker.obey(order).catch((error: unknown) => {
      process.send?.({ say: 'failed', message: messageOf(error) } satisfies FromWorker);
    });
  });
}

class LightWorker {
  readonly #say: (message: FromWorker) => void;
  readonly #agents: LightAgent[] = [];
  readonly #counters: WorkerCounters = {
    ...{ connects: 0, cuts: 0, restarts: 0, lostAnswers: 0, sentTwice: 0 },
    ...{ rowsSent: 0, blocksSent: 0 },
  };
  readonly #gate = new Gate();
  #moments: Moment[] = [];
  readonly #disturbed = new Set<Promise<void>>();

  constructor(say: (message: FromWorker) => void) {
    this.#say = say;
  }

  async obey(order: ToWorker): Promise<void> {
    if (order.do === 'enrol') await this.#enrol(order.part, order.url, order.token);
    else if (order.do === 'start') this.#start(order.overMs);
    else if (order.do === 'disturb') this.#disturb(order.forMs, order);
    else if (order.do === 'drain') await this.#drain();
    else await this.#stop();
  }

  #tell(what: Moment['what'], agent: number): void {
    if (this.#moments.length === 0) {
      systemClock.after(TELL_MS, () => {
        const moments = this.#moments;
        this.#moments = [];
        this.#say({ say: 'moments', moments });
      });
    }
    this.#moments.push({ what, agent, at: systemClock.now() });
  }

  async #enrol(part: WorkerPart, url: string, token: string): Promise<void> {
    let next = part.first;
    const enrolSome = async (): Promise<void> => {
      while (next < part.first + part.count) {
        const index = next;
        next += 1;
        const device = await enrolPatiently(url, token, index);
        this.#agents.push(new LightAgent(device, this.#world(part, index)));
        this.#tell('enrolled', index);
      }
    };
    await Promise.all(Array.from({ length: ENROLMENTS_AT_ONCE }, enrolSome));
  }

  #world(part: WorkerPart, index: number) {
    const { heartbeatMs, resultsMs, duplicates, skewMs } = part;
    return {
      ...{ heartbeatMs, resultsMs, duplicates },
      clock: skewed((2 * systemRandom.next() - 1) * skewMs),
      random: systemRandom,
      log: pino({ level: 'silent' }),
      counters: this.#counters,
      gate: this.#gate,
      tell: (what: Moment['what']) => this.#tell(what, index),
    };
  }

  #start(overMs: number): void {
    for (const agent of this.#agents) {
      systemClock.after(overMs * systemRandom.next(), () => agent.start());
    }
  }

  #disturb(forMs: number, share: { readonly dropOuts: number; readonly late: number }): void {
    for (const agent of this.#agents) {
      if (systemRandom.next() < share.late) {
        agent.outbox.hold();
        systemClock.after(forMs * (0.5 + systemRandom.next() / 2), () => agent.outbox.release());
      }
      if (systemRandom.next() >= share.dropOuts) continue;
      const away = dropOut(agent, forMs).finally(() => this.#disturbed.delete(away));
      this.#disturbed.add(away);
    }
  }

  async #drain(): Promise<void> {
    await Promise.all(this.#disturbed);
    for (const agent of this.#agents) {
      agent.quiet();
      agent.outbox.release();
    }
    while (this.#agents.some(({ outbox }) => outbox.waiting > 0)) {
      await systemClock.sleep(DRAIN_LOOK_MS);
    }
    this.#say({ say: 'drained' });
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    const agents = this.#agents.map(({ device: { agent, index }, outbox: { made } }) => ({
      agent,
      index,
      made,
    }));
    this.#say({ say: 'tally', agents, counters: this.#counters });
  }
}

/** In the first half the network goes or the device is switched off; it is back in the second. */
async function dropOut(agent: LightAgent, forMs: number): Promise<void> {
  await systemClock.sleep((forMs / 2) * systemRandom.next());
  await agent.network.cut();
  await systemClock.sleep((forMs / 2) * systemRandom.next());
  agent.network.mend();
  if (systemRandom.next() < 0.5) await agent.restart();
}

async function enrolPatiently(url: string, token: string, index: number): Promise<EnrolledDevice> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await enrolDevice(url, token, index, systemClock.now());
    } catch (error) {
      const again = error instanceof RunnelError && error.retry === 'backoff';
      if (!again || tries === ENROL_TRIES_MAX) throw error;
      await systemClock.sleep(1000 * tries);
    }
  }
}

function skewed(byMs: number): Clock {
  return { ...systemClock, now: () => epochMs(Math.round(systemClock.now() + byMs)) };
}
