/** When how much of the fleet reached something. Pure. */
export interface Reached {
  /** Seconds from the beginning; null: not in time. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly all: number | null;
  /** Agents that did not reach it. */
  readonly missing: number;
}

export class Milestone {
  readonly #agents: number;
  readonly #beganAt: number;
  /** Agent → when first. */
  readonly #first = new Map<number, number>();

  constructor(agents: number, beganAt: number) {
    this.#agents = agents;
    this.#beganAt = beganAt;
  }

  /** Moments before the beginning are of something else. */
  take(agent: number, at: number): void {
    if (at >= this.#beganAt && !this.#first.has(agent)) this.#first.set(agent, at);
  }

  get complete(): boolean {
    return this.#first.size >= this.#agents;
  }

  reached(): Reached {
    const times = [...this.#first.values()].toSorted((a, b) => a - b);
    const secondsOf = (share: number): number | null => {
      const at = times[Math.ceil(share * this.#agents) - 1];
      return at === undefined ? null : (at - this.#beganAt) / 1000;
    };
    return {
      p50: secondsOf(0.5),
      p99: secondsOf(0.99),
      all: secondsOf(1),
      missing: this.#agents - times.length,
    };
  }
}
