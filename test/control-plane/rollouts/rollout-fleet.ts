/**
 * A fleet for rollouts without I/O: devices that do what they are told at once, late, badly or not
 * at all, and a look at them. What it says of availability is its own, not the rollout's.
 */
import { epochMs } from '@runnel/shared/ids.ts';
import type { Rollout } from '@runnel/shared/definitions/rollout.ts';
import type { Sight } from '@runnel/control-plane/rollouts/rollout-device.ts';
import { plan } from '@runnel/control-plane/rollouts/rollout-plan.ts';
import {
  begin,
  type Effect,
  hasEnded,
  type Hold,
  type RolloutEvent,
  type RolloutState,
  type Step,
  transition,
  versionAt,
} from '@runnel/control-plane/rollouts/rollout-state.ts';

/** What a device makes of a version: `stuck` never gets there and never says that it failed. */
export type Nature = 'good' | 'slow' | 'bad' | 'stuck';

interface FakeDevice {
  readonly nature: Nature;
  connected: boolean;
  heard: boolean;
  /** Applied last. */
  told: number | null;
  runs: number | null;
  /** Looks until it runs what it was told. */
  delay: number;
  failed: number | null;
}

export const NEW = 2;
export const OLD = 1;

export function documentOf(rollout: Record<string, unknown> | null): unknown {
  return {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name: 'press' },
    ...(rollout === null ? {} : { rollout }),
    sla: [{ name: 'fresh', freshness: '1m' }],
    sources: { device: { host: { every: '1s' } } },
    steps: [{ id: 'all', filter: 'true' }],
    sinks: [{ from: 'all', results: { dataset: 'all' } }],
  };
}

export type RolloutText = Partial<Record<keyof Rollout, unknown>>;

export class FakeFleet {
  readonly devices = new Map<string, FakeDevice>();
  readonly effects: Effect[] = [];
  state: RolloutState;
  now = epochMs(1_000_000);

  constructor(
    natures: readonly Nature[],
    rollout: RolloutText | null,
    options: { readonly from?: number | null; readonly offline?: readonly number[] } = {},
  ) {
    const { from = OLD, offline = [] } = options;
    const candidates = natures.map((nature, index) => {
      const id = `agent-${String(index).padStart(3, '0')}`;
      const connected = !offline.includes(index);
      this.devices.set(id, {
        ...{ nature, connected, heard: true, told: from, runs: from, delay: 0, failed: null },
      });
      const labels = { site: index % 2 === 0 ? 'lyon' : 'turin' };
      const agent = { id, name: `press-${index}`, labels, platform: { os: 'linux', arch: 'x64' } };
      return { agent, connected, assigned: from };
    });
    const document = documentOf(rollout);
    const planned = plan({ job: 'press', version: NEW, document }, candidates);
    const fields = { id: 'r1', job: 'press', version: NEW, from, by: 'token:t', ...planned };
    this.state = begin(fields, this.now);
  }

  get(index: number): FakeDevice {
    return [...this.devices.values()][index]!;
  }

  /** Devices that the state tells the new version, by index. */
  told(): number[] {
    return [...this.devices.keys()].flatMap((agent, index) =>
      versionAt(this.state, agent) === NEW ? [index] : [],
    );
  }

  send(event: RolloutEvent): Step {
    const step = transition(this.state, event, this.now);
    this.state = step.state;
    this.effects.push(...step.effects);
    return step;
  }

  /** Devices do what they can, then the rollout looks at all of them. */
  look(elapsedMs = 1000, hold: Hold | null = null): Step {
    this.now = epochMs(this.now + elapsedMs);
    if (hold !== 'deaf') this.#act();
    const sights = new Map<string, Sight>();
    for (const [agent, device] of hold === 'deaf' ? [] : this.devices) {
      sights.set(agent, this.#sight(device));
    }
    return this.send({ kind: 'looked', elapsedMs, hold, sights });
  }

  /** Looks until it ends or `looks` are over. */
  run(looks = 50): void {
    for (let each = 0; each < looks && !hasEnded(this.state); each += 1) this.look();
  }

  /** Connected ones that were told the new version and do not run it. */
  unavailable(): number {
    return [...this.devices].filter(([agent, { runs }]) => {
      return versionAt(this.state, agent) === NEW && runs !== NEW;
    }).length;
  }

  #act(): void {
    for (const [agent, device] of this.devices) {
      if (!device.connected) continue;
      const desired = versionAt(this.state, agent);
      if (desired !== device.told) {
        device.told = desired;
        device.failed = null;
        device.delay = device.nature === 'slow' ? 3 : 1;
        continue;
      }
      if (device.runs === desired) continue;
      if (desired !== null && device.failed === desired) continue;
      device.delay -= 1;
      if (device.delay > 0 || (desired === NEW && device.nature === 'stuck')) continue;
      if (desired === NEW && device.nature === 'bad') device.failed = NEW;
      else device.runs = desired;
    }
  }

  #sight({ connected, heard, runs, failed, told }: FakeDevice): Sight {
    const attempted =
      failed === null ? null : ({ version: failed, phase: 'failed', reason: 'no', at: 0 } as const);
    const isThere = runs !== null || attempted !== null;
    return {
      link: !connected ? 'silent' : heard ? 'heard' : 'unheard',
      placed: true,
      // A look is after the device has applied what the last one told it.
      current: told !== undefined,
      job: isThere ? { version: runs, phase: 'running', attempted } : null,
      breaches: [],
    };
  }
}
