/** The versions of the job that people apply: most are good, some are bad on some devices. */
import type { Dice } from './dice.ts';
import type { Outcome } from './sim-device.ts';

export class Versions {
  readonly #dice: Dice;
  readonly #agents: readonly string[];
  readonly #isStrict: boolean;
  readonly #outcomes = new Map<number, ReadonlyMap<string, Outcome>>();
  readonly #documents = new Map<number, unknown>();

  /** `isStrict`: their documents let nothing pass. */
  constructor(dice: Dice, agents: readonly string[], isStrict: boolean) {
    this.#dice = dice;
    this.#agents = agents;
    this.#isStrict = isStrict;
  }

  readonly outcomeOf = (agent: string, version: number): Outcome =>
    this.#outcomes.get(version)?.get(agent) ?? 'runs';

  readonly documentOf = (version: number): unknown => this.#documents.get(version) ?? null;

  /** A new one; returns its number. */
  write(): number {
    const dice = this.#dice;
    const version = this.#outcomes.size + 1;
    const isBad = dice.chance(version === 1 ? 0.2 : 0.5);
    const how = dice.pick<Outcome>(['failsToStart', 'hangs', 'silent', 'silent']);
    const share = isBad ? dice.pick([0.1, 0.1, 0.5, 1]) : 0;
    const outcomes = this.#agents.map((agent) => {
      return [agent, dice.chance(share) ? how : 'runs'] as const;
    });
    this.#outcomes.set(version, new Map(outcomes));
    this.#documents.set(version, this.#document());
    return version;
  }

  #document(): unknown {
    const rollout = this.#isStrict ? this.#strict() : this.#any();
    return {
      ...{ apiVersion: 'runnel/v1', kind: 'StreamJob', metadata: { name: 'press' } },
      ...(this.#isStrict || this.#dice.chance(0.92) ? { rollout } : {}),
      sla: [{ name: 'fresh', freshness: '20s' }],
      sources: { device: { host: { every: '1s' } } },
      steps: [{ id: 'all', filter: 'true' }],
      sinks: [{ from: 'all', results: { dataset: 'all' } }],
    };
  }

  #strict(): unknown {
    return {
      ...{ batches: this.#dice.pick<unknown[]>([['100%'], ['50%'], [1]]), pauseBetween: '60s' },
      ...{ deviceTimeout: '20s', gate: { minHealthy: '100%', sla: 'all' } },
      ...(this.#dice.chance(0.3) ? { maxUnavailable: '50%' } : {}),
    };
  }

  #any(): unknown {
    const dice = this.#dice;
    return {
      batches: dice.pick<unknown[]>([
        [1, '25%', '100%'],
        [{ selector: 'site=lyon' }, '100%'],
        ['50%'],
        [2, 4, 6],
        ['100%'],
      ]),
      pauseBetween: dice.pick(['0s', '10s', '60s', '60s']),
      deviceTimeout: dice.pick(['20s', '40s']),
      ...(dice.chance(0.85) ? { maxUnavailable: dice.pick<unknown>([1, 2, 3, '30%']) } : {}),
      approval: dice.pick(['auto', 'auto', 'auto', 'manual']),
      gate: {
        minHealthy: dice.pick(['100%', '100%', '100%', '80%', '50%']),
        ...(dice.chance(0.6) ? { sla: 'all' } : {}),
      },
      onFailure: dice.pick(['rollback', 'rollback', 'rollback', 'pause', 'continue']),
    };
  }
}
