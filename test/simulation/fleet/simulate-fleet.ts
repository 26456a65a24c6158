/**
 * A fleet, its network, its control plane and the people who use it, from one seed and by a clock
 * that is only a number. First everything happens that can; then nothing does, until what began has
 * ended, and the auditor looks at what is left.
 */
import { hasEnded } from '@runnel/control-plane/rollouts/rollout-state.ts';
import { Audit } from './audit.ts';
import { Dice } from './dice.ts';
import { Oracle } from './oracle.ts';
import { PRODUCT, type Product } from './product.ts';
import { type Act, SimControl } from './sim-control.ts';
import { type Message, SimDevice } from './sim-device.ts';
import { Versions } from './versions.ts';

const START_MS = 1_000_000_000;
const SECOND_MS = 1000;
const BUSY_S = 400;
/** After nobody does anything any more: for what began to end, and for devices to follow. */
const REST_S = 2000;
const FOLLOW_S = 60;
/** What is still not over then is undone by a person. */
const PATIENCE_S = 500;

export interface Outcome {
  readonly findings: readonly string[];
  readonly seen: Audit['seen'];
}

interface Post {
  readonly at: number;
  readonly message: Message;
}

export function simulateFleet(seed: number, product: Product = PRODUCT): Outcome {
  return new Simulation(seed, product).run();
}

class Simulation {
  readonly #dice: Dice;
  readonly #devices = new Map<string, SimDevice>();
  readonly #oracles = new Map<string, Oracle>();
  readonly #versions: Versions;
  readonly #control: SimControl;
  readonly #audit: Audit;
  /** Gates that let nothing pass, in a fleet with little trouble: bad versions must be found. */
  readonly #isStrict: boolean;
  #posts: Post[] = [];
  /** Since when the control plane can hear; null while it cannot. */
  #hearingSince: number | null = null;
  #deafUntil = 0;
  #now = START_MS;
  #restFor = 0;

  constructor(seed: number, product: Product) {
    const dice = new Dice(seed);
    this.#dice = dice;
    const agents = Array.from({ length: dice.between(4, 16) }, (_, each) => `press-${each}`);
    this.#isStrict = dice.chance(0.5);
    this.#versions = new Versions(dice, agents, this.#isStrict);
    const { outcomeOf, documentOf } = this.#versions;
    for (const id of agents) {
      this.#devices.set(id, new SimDevice(id, { dice, product, outcomeOf }));
      this.#oracles.set(id, new Oracle());
    }
    const isHearing = () => this.#hearingSince !== null;
    const audit = new Audit({ devices: this.#devices, outcomeOf, isHearing });
    this.#audit = audit;
    const beat = (heartbeat: Parameters<Audit['heard']>[0], now: number) => {
      audit.heard(heartbeat, now);
      this.#oracles.get(heartbeat.agent)?.beat(heartbeat, now);
    };
    const gate = dice.pick(['both', 'device'] as const);
    const parts = { agents, product, audit, beat, documentOf, gate };
    this.#control = new SimControl(parts);
  }

  run(): Outcome {
    for (let each = 0; each < BUSY_S && this.#isFine; each += 1) this.#second(true);
    this.#calm();
    for (let each = 0; each < REST_S && this.#restFor < FOLLOW_S && this.#isFine; each += 1) {
      this.#second(false);
      if (each === PATIENCE_S) this.#control.act('undo', this.#now);
      const { state } = this.#control;
      this.#restFor = state === undefined || hasEnded(state) ? this.#restFor + 1 : 0;
    }
    if (this.#isFine) this.#audit.atRest(this.#now);
    return { findings: this.#audit.findings, seen: this.#audit.seen };
  }

  /** One finding is enough: what follows it may follow from it. */
  get #isFine(): boolean {
    return this.#audit.findings.length === 0;
  }

  #second(isBusy: boolean): void {
    this.#now += SECOND_MS;
    const now = this.#now;
    for (const oracle of this.#oracles.values()) oracle.begin(this.#hearingSince !== null);
    if (isBusy) this.#happen();
    this.#connect(now >= this.#deafUntil);
    for (const device of this.#devices.values()) {
      for (const message of device.step(this.#control.desired.get(device.id)!, now)) {
        this.#post(message, isBusy);
      }
    }
    this.#deliver();
    this.#audit.tick(now);
    const dies = isBusy && this.#dice.chance(this.#isStrict ? 0.002 : 0.008);
    this.#control.dies = dies && this.#dice.chance(0.5);
    this.#control.tick(now);
    if (isBusy) this.#people();
    else this.#caretaker();
    this.#compare();
    if (dies) this.#restart();
  }

  #happen(): void {
    const dice = this.#dice;
    if (this.#isStrict && dice.chance(0.8)) return;
    for (const device of this.#devices.values()) {
      if (dice.chance(device.online ? 0.002 : 0.02)) device.online = !device.online;
      if (device.up && dice.chance(0.001)) device.crash();
      else if (!device.up && dice.chance(0.05)) device.restart();
    }
    if (dice.chance(0.004)) this.#deafUntil = this.#now + SECOND_MS * dice.between(1, 90);
  }

  #calm(): void {
    this.#deafUntil = 0;
    for (const device of this.#devices.values()) {
      device.online = true;
      if (!device.up) device.restart();
    }
  }

  #connect(isConnected: boolean): void {
    if (isConnected === (this.#hearingSince !== null)) return;
    this.#hearingSince = isConnected ? this.#now : null;
    this.#control.setConnected(isConnected, this.#now);
  }

  /** Late, lost, and twice; results are sent until they arrive. */
  #post(message: Message, isBusy: boolean): void {
    const dice = this.#dice;
    const isBeat = message.kind === 'heartbeat';
    if (isBusy && isBeat && dice.chance(0.03)) return;
    this.#posts.push({ at: this.#now + SECOND_MS * dice.between(0, 3), message });
    if (isBusy && isBeat && dice.chance(0.03)) {
      this.#posts.push({ at: this.#now + SECOND_MS * dice.between(0, 20), message });
    }
  }

  #deliver(): void {
    const due = this.#posts.filter(({ at }) => at <= this.#now);
    this.#posts = this.#posts.filter(({ at }) => at > this.#now);
    for (const { message } of due) {
      if (this.#hearingSince === null) {
        if (message.kind === 'result') {
          this.#posts.push({ at: this.#now + 5 * SECOND_MS, message });
        }
        continue;
      }
      this.#control.hear(message, this.#now);
      if (message.kind === 'result') this.#oracles.get(message.agent)?.result(this.#now);
    }
  }

  #people(): void {
    const dice = this.#dice;
    const control = this.#control;
    const { state } = control;
    const now = this.#now;
    const isOver = state === undefined || hasEnded(state);
    if (dice.chance(isOver ? 0.04 : 0.001)) control.apply(this.#versions.write(), now);
    else if (isOver && state !== undefined && dice.chance(0.005)) {
      control.apply(state.version, now);
    }
    const wishes: readonly (readonly [Act, number])[] = [
      ['approve', state?.phase === 'awaitingApproval' ? 0.1 : 0.001],
      ['resume', state?.phase === 'suspended' ? 0.05 : 0.001],
      ['pause', 0.003],
      ['abort', 0.001],
      ['undo', 0.002],
    ];
    const patience = this.#isStrict ? 0.2 : 1;
    for (const [act, share] of wishes) if (dice.chance(share * patience)) control.act(act, now);
  }

  /** Lets go on what waits for a person. */
  #caretaker(): void {
    const phase = this.#control.state?.phase;
    if (phase === 'awaitingApproval') this.#control.act('approve', this.#now);
    if (phase === 'suspended') this.#control.act('undo', this.#now);
  }

  #restart(): void {
    this.#control.restart(this.#now);
    this.#hearingSince = null;
    this.#deafUntil = Math.max(this.#deafUntil, this.#now + SECOND_MS * this.#dice.between(1, 10));
    for (const [agent, oracle] of this.#oracles) {
      oracle.restarted(this.#control.connection(agent));
    }
  }

  #compare(): void {
    for (const [agent, oracle] of this.#oracles) {
      const device = this.#devices.get(agent)!;
      const views = this.#control.promises.get(agent);
      oracle.second(device, this.#hearingSince, views?.device.sinceAt ?? null, this.#now);
      this.#same(`${agent} is`, this.#control.connection(agent), oracle.connection);
      if (device.up && device.runs !== null) {
        this.#same(`${agent} judges itself`, device.sla.kind, oracle.own.shown);
      }
      if (views === undefined) continue;
      const { device: told, arrivals } = views;
      this.#same(`${agent} by its word is`, told.state.kind, oracle.device ?? 'unknown');
      if (this.#now < oracle.knowsFrom) continue;
      const came = oracle.arrivals.shown ?? 'unknown';
      this.#same(`${agent} by its results is`, arrivals.state.kind, came);
    }
  }

  #same(what: string, is: string, wanted: string | undefined): void {
    if (is === wanted) return;
    this.#audit.find(this.#now, `${what} ${is}, and the oracle says ${wanted}`);
  }
}
