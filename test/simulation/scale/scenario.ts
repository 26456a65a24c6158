/**
 * A run from an empty control plane to the audit: enrol, connect, push a job, work with
 * disturbances, push a new version, lose nats-server, drain, compare. Each step has a deadline
 * that grows with the fleet; a step that misses it is reported as such, and the run goes on.
 */
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { ApiProbe } from './api-probe.ts';
import { Audit, type AuditFindings, type StoredRow } from './audit.ts';
import type { ControlProcess } from './control-process.ts';
import type { Fleet, FleetTally } from './fleet.ts';
import type { Reached } from './milestone.ts';
import { cores, type SimulateOptions } from './options.ts';
import type { Phase, PhaseName, Report } from './report.ts';
import { UsageWatch } from './usage.ts';

const JOB = 'simulated';
/** Devices are not switched on in one instant: this many a second. */
const STARTS_PER_SECOND = 200;
const PAGE_ROWS = 1000;
const LOOK_MS = 100;

export interface ScenarioParts {
  readonly options: SimulateOptions;
  readonly control: ControlProcess;
  readonly fleet: Fleet;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export class Scenario {
  readonly #parts: ScenarioParts;
  readonly #usage: UsageWatch;
  readonly #probe: ApiProbe;
  readonly #phases: Partial<Record<PhaseName, Phase>> = {};
  #converged = true;

  constructor(parts: ScenarioParts) {
    const { control, fleet, signal } = parts;
    this.#parts = parts;
    this.#usage = new UsageWatch({
      control: control.pid,
      nats: () => control.natsPid(),
      workers: () => fleet.pids,
    });
    this.#probe = new ApiProbe(control, signal);
  }

  /** Errors: those of the parts, and the signal's reason. */
  async run(): Promise<Report> {
    try {
      return await this.#run();
    } finally {
      await this.#probe.stop();
      this.#usage.stop();
    }
  }

  async #run(): Promise<Report> {
    const { options, control, fleet } = this.#parts;
    await this.#phase('enrol', () => this.#enrol());
    const { items } = await control.call<{ items: { id: string }[] }>('GET', '/agents?limit=1');
    this.#probe.start(items[0]!.id);
    await this.#phase('connect', () => this.#connect());
    await this.#phase('push', () => this.#push(1));
    const before = await this.#stored();
    await this.#phase('steady', () => this.#steady());
    const arrived = (await this.#stored()) - before;
    await this.#settled();
    await this.#phase('update', () => this.#push(2));
    await this.#phase('storm', () => this.#storm());
    await this.#phase('drain', () => this.#drain());
    const tally = await fleet.tally(this.#deadline(30));
    const audit = await this.#audit(tally);
    const { json: _json, keep: _keep, profile: _profile, ...asked } = options;
    return {
      v: 1,
      options: asked,
      machine: { cores: cores(), node: process.versions.node },
      phases: this.#phases as Record<PhaseName, Phase>,
      results: {
        perSecond: arrived / this.#phases.steady!.seconds,
        counters: tally.counters,
      },
      audit,
      converged: this.#converged,
    };
  }

  async #phase(name: PhaseName, work: () => Promise<Reached | null>): Promise<void> {
    this.#parts.say(`${name} …`);
    this.#usage.begin();
    this.#probe.begin();
    const began = systemClock.monotonicMs();
    const reached = await work();
    const seconds = (systemClock.monotonicMs() - began) / 1000;
    const [usage, api] = [this.#usage.taken(), this.#probe.taken()];
    this.#phases[name] = { seconds, reached, usage, api };
    if (reached !== null && reached.missing > 0) this.#converged = false;
    const late = reached === null || reached.missing === 0 ? '' : `, ${reached.missing} missing`;
    this.#parts.say(`${name}: ${seconds.toFixed(1)} s${late}`);
  }

  async #enrol(): Promise<Reached> {
    const { options, control, fleet } = this.#parts;
    const { heartbeat, results, duplicates, skew } = options;
    const { token } = await control.call<{ token: string }>('POST', '/tokens', {
      role: 'agent',
      uses: options.agents,
    });
    const watch = fleet.watch('enrolled');
    const times = { heartbeatMs: heartbeat * 1000, resultsMs: results * 1000, skewMs: skew * 1000 };
    fleet.enrol({ ...times, duplicates }, control.url, token);
    const reached = await fleet.reached(watch, this.#deadline(60, 5));
    if (reached.missing === 0) return reached;
    throw new RunnelError('enrol_slow', `${reached.missing} agents were not enrolled in time`);
  }

  async #connect(): Promise<Reached> {
    const { options, fleet } = this.#parts;
    const watch = fleet.watch('synced');
    fleet.order({ do: 'start', overMs: (options.agents / STARTS_PER_SECOND) * 1000 });
    return await fleet.reached(watch, this.#deadline(120));
  }

  /** Reported: the control plane answered a report in which the version runs. */
  async #push(version: number): Promise<Reached> {
    const { control, fleet } = this.#parts;
    const watch = fleet.watch(`running ${version}`);
    await control.call('POST', '/jobs', jobDocument(version));
    const reached = await fleet.reached(watch, this.#deadline(120));
    if (reached.missing > 0 || (await this.#shown())) return reached;
    throw new RunnelError('not_shown', 'the API does not show what every agent reported');
  }

  /** The API agrees. */
  async #shown(): Promise<boolean> {
    const { options, control, signal } = this.#parts;
    type Jobs = { readonly items: readonly { readonly agents: { readonly running: number } }[] };
    const deadline = systemClock.monotonicMs() + this.#deadline(30);
    while (systemClock.monotonicMs() < deadline) {
      const { items } = await control.call<Jobs>('GET', '/jobs');
      if (items[0]?.agents.running === options.agents) return true;
      await systemClock.sleep(LOOK_MS, signal);
    }
    return false;
  }

  async #steady(): Promise<null> {
    const { options, fleet, signal } = this.#parts;
    const { dropOuts, late, seconds } = options;
    fleet.order({ do: 'disturb', forMs: seconds * 1000, dropOuts, late });
    await systemClock.sleep(seconds * 1000, signal);
    return null;
  }

  /** Everyone who dropped out is back, so that what follows is not theirs. */
  async #settled(): Promise<void> {
    const { options, control, signal, say } = this.#parts;
    type Agents = { readonly items: readonly { readonly connection: string }[] };
    const deadline = systemClock.monotonicMs() + this.#deadline(90) + options.heartbeat * 3000;
    for (;;) {
      const { items } = await control.call<Agents>('GET', '/agents?limit=10000&status=approved');
      const away = items.filter(({ connection }) => connection !== 'online').length;
      if (away === 0 && (await this.#shown())) return;
      if (systemClock.monotonicMs() > deadline) {
        say(`${away} agents that dropped out did not return in time`);
        this.#converged = false;
        return;
      }
      await systemClock.sleep(LOOK_MS * 5, signal);
    }
  }

  /** The control plane starts its nats-server again by itself; every agent finds it. */
  async #storm(): Promise<Reached> {
    const { control, fleet } = this.#parts;
    const watch = fleet.watch('synced');
    process.kill(control.natsPid(), 'SIGKILL');
    return await fleet.reached(watch, this.#deadline(120));
  }

  async #drain(): Promise<null> {
    if (!(await this.#parts.fleet.drain(this.#deadline(120)))) this.#converged = false;
    return null;
  }

  async #stored(): Promise<number> {
    type Datasets = {
      readonly items: readonly { readonly dataset: string; readonly rows: number }[];
    };
    const { items } = await this.#parts.control.call<Datasets>('GET', '/datasets');
    return items.find(({ dataset }) => dataset === JOB)?.rows ?? 0;
  }

  async #audit(tally: FleetTally): Promise<AuditFindings> {
    const audit = new Audit(tally.agents);
    type Page = { readonly items: readonly StoredRow[]; readonly next: string };
    let after = '0';
    for (;;) {
      const path = `/datasets/${JOB}/results?limit=${PAGE_ROWS}&after=${after}`;
      const page = await this.#parts.control.call<Page>('GET', path);
      if (page.items.length === 0) return audit.findings();
      audit.take(page.items);
      after = page.next;
    }
  }

  /** Seconds for a small fleet, and what a large one takes at this many agents a second. */
  #deadline(seconds: number, agentsPerSecond = 50): number {
    return (seconds + this.#parts.options.agents / agentsPerSecond) * 1000;
  }
}

/** Versions differ in a parameter, as a change of a threshold does. */
function jobDocument(version: number): object {
  return {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name: JOB, description: 'Pushed to a simulated fleet' },
    parameters: { limit: { type: 'number', default: version } },
    sources: { device: { host: { every: '5s' } } },
    steps: [
      { filter: 'payload.cpuPercent != null' },
      {
        id: 'readings',
        window: { tumbling: '10s' },
        aggregate: { cpu: 'avg(payload.cpuPercent)', n: 'count()' },
      },
    ],
    sinks: [{ from: 'readings', results: { dataset: JOB } }],
  };
}
