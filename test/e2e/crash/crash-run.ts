/**
 * One crash run: publish a seeded workload while the agent, nats-server and the control plane are
 * SIGKILLed at seeded instants and connections are cut between flush and PUBACK; then audit.
 *
 *   publish ──────x───────x──c────x─────────x──c──x──▶ closing record ▶ wait for the rows ▶ audit
 *                kill    kill cut kill      kill cut kill
 */
import { seededRandom } from '@runnel/shared/random.ts';
import { pause } from '../../support/pause.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type StoredResult, audit, readAll } from './audit.ts';
import { CutProxy, isPuback } from './cut-proxy.ts';
import { Publisher } from './publisher.ts';
import { Site, type SiteOptions } from './site.ts';
import { type Workload, crashJob, makeWorkload } from './workload.ts';

export interface CrashPlan extends SiteOptions {
  readonly seed: number;
  readonly messages: number;
  readonly perSecond: number;
  /** How often each of agent, nats-server and control plane is killed. */
  readonly kills: number;
  /** Only these are killed; all three when absent. */
  readonly targets?: readonly ('agent' | 'nats' | 'control')[];
  /** How often a connection is cut with PUBACKs in the air, and with the answer to a block. */
  readonly cuts: number;
  /** Mosquitto is killed half-way, when all that it acknowledged has been committed. */
  readonly killMosquitto?: boolean;
  /** How long the rows may take to arrive after the last message. */
  readonly settleMs?: number;
}

export interface CrashReport {
  readonly wrong: readonly string[];
  readonly rows: number;
  readonly acknowledged: number;
  readonly kills: Site['kills'];
  readonly cuts: number;
  /** Answers to blocks that were cut off. */
  readonly answers: number;
  /** Records that the ring recognised as already committed. */
  readonly redelivered: number;
  /** Rows that the control plane had already and did not store again. */
  readonly resent: number;
}

/** While messages flow, PUBACKs do, unless the agent is just starting. */
const CUT_MS = 10_000;
/** How often the counters are read. */
const LOOK_MS = 200;

type Strike = 'agent' | 'nats' | 'control' | 'cut' | 'answer';

/** When what is struck, by how many messages have been given. */
function strikes(plan: CrashPlan): Map<number, Strike> {
  const random = seededRandom(plan.seed);
  const kinds: Strike[] = [];
  const targets = plan.targets ?? (['agent', 'nats', 'control'] as const);
  for (let round = 0; round < plan.kills; round += 1) kinds.push(...targets);
  for (let round = 0; round < plan.cuts; round += 1) kinds.push('cut', 'answer');
  for (let index = kinds.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random.next() * (index + 1));
    [kinds[index], kinds[other]] = [kinds[other] as Strike, kinds[index] as Strike];
  }
  const at = new Map<number, Strike>();
  const share = plan.messages / (kinds.length + 1);
  for (const [index, kind] of kinds.entries()) {
    at.set(Math.floor(share * (index + 0.5 + random.next())), kind);
  }
  return at;
}

export async function crashRun(plan: CrashPlan, startMs: number): Promise<CrashReport> {
  const workload = makeWorkload(plan.seed, plan.messages, startMs);
  const site = await Site.start(plan);
  const embedded = plan.broker === 'embedded';
  const proxy = new CutProxy(site.brokerPort, embedded ? 'server' : 'client', isPuback);
  const proxyPort = await proxy.listen();
  const publisher = new Publisher(embedded ? proxyPort : site.brokerPort);
  const tally = new Tally(site);
  try {
    await site.apply(crashJob(embedded ? undefined : `mqtt://127.0.0.1:${proxyPort}`));
    await site.running('crash');
    await site.connected();
    const due = strikes(plan);
    // One after the other: what was killed last has been started again when the next is struck.
    let struck = Promise.resolve();
    let broken: unknown;
    const half = plan.killMosquitto === true ? Math.floor(plan.messages / 2) : plan.messages;
    const progress = async (given: number): Promise<void> => {
      const kind = due.get(given);
      if (kind === undefined) return;
      await struck;
      struck = struck
        .then(() => strike(site, proxy, tally, kind))
        .catch((error: unknown) => {
          broken ??= error;
        });
    };
    await publisher.publish(workload.messages.slice(0, half), plan.perSecond, progress);
    if (plan.killMosquitto === true) {
      await struck;
      await loseSession(site, publisher);
      const rest = workload.messages.slice(half);
      await publisher.publish(rest, plan.perSecond, (given) => progress(half + given));
    }
    await struck;
    if (broken !== undefined) throw broken;
    await publisher.publish([workload.closing], plan.perSecond);
    const rows = await settled(site, workload, plan.settleMs ?? 60_000);
    await tally.look();
    return {
      wrong: audit(rows, workload),
      rows: rows.length,
      acknowledged: publisher.acknowledged,
      kills: site.kills,
      cuts: proxy.cuts,
      answers: site.natsCut.cuts,
      redelivered: tally.redelivered,
      resent: tally.resent,
    };
  } catch (error) {
    throw new Error(`the crash run broke\n${site.logs()}`, { cause: error });
  } finally {
    await tally.end();
    await publisher.end();
    await site.stop();
    await proxy.close();
  }
}

async function strike(site: Site, proxy: CutProxy, tally: Tally, kind: Strike): Promise<void> {
  if (kind === 'cut') {
    // Every other time the agent dies with the connection: only what is on disk can help it then.
    const { cuts } = proxy;
    proxy.arm();
    if (cuts % 2 === 1) return;
    if (!(await cutOff(proxy, cuts))) return;
    await site.killAgent();
    site.startAgent();
  } else if (kind === 'answer') {
    site.natsCut.arm();
  } else if (kind === 'nats') {
    await waitFor('a nats-server to kill', () => site.killNats());
  } else if (kind === 'agent') {
    await site.killAgent();
    site.startAgent();
  } else {
    await tally.look();
    await site.killControl();
    await site.startControl();
  }
}

/** False when nothing was acknowledged any more: the last messages had gone before. */
async function cutOff(proxy: CutProxy, before: number): Promise<boolean> {
  const end = performance.now() + CUT_MS;
  while (proxy.cuts === before && performance.now() < end) await pause(LOOK_MS / 10);
  return proxy.cuts > before;
}

/**
 * Kills mosquitto, which keeps nothing: what it acknowledged must be committed before, and what
 * comes after must wait for the agent's new subscription. The agent itself notices by its own.
 */
async function loseSession(site: Site, publisher: Publisher): Promise<void> {
  await waitFor(
    'all that mosquitto acknowledged to be committed',
    async () => {
      if (publisher.unacknowledged > 0) return false;
      const committed = await site.counter('agent', 'runnel_agent_journal_records_total');
      return committed === publisher.acknowledged;
    },
    60_000,
  );
  await site.restartMosquitto('press/+/vibration');
}

/** All rows, once no more come: as many as expected, and the same count twice. */
async function settled(
  site: Site,
  workload: Workload,
  deadlineMs: number,
): Promise<StoredResult[]> {
  const expected = workload.expected.size;
  let before = -1;
  let rows: StoredResult[] = [];
  try {
    await waitFor(
      `${expected} rows`,
      async () => {
        rows = await readAll(site.api, 'totals');
        const same = rows.length === before && rows.length >= expected;
        before = rows.length;
        return same;
      },
      deadlineMs,
    );
  } catch {
    // Too few rows is a finding, and the auditor says which are missing.
    return rows;
  }
  return rows;
}

/** Adds up counters over the lives of processes that are killed: looks often, keeps the highest. */
class Tally {
  readonly #highest = new Map<string, number>();
  readonly #site: Site;
  #watching = true;
  readonly #done: Promise<void>;

  constructor(site: Site) {
    this.#site = site;
    this.#done = this.#watch();
  }

  get redelivered(): number {
    return this.#sum('agent');
  }

  get resent(): number {
    return this.#sum('control');
  }

  async end(): Promise<void> {
    this.#watching = false;
    await this.#done;
  }

  async look(): Promise<void> {
    const { lives } = this.#site;
    const agent = `agent ${lives.agent}`;
    const control = `control ${lives.control}`;
    const looks = await Promise.allSettled([
      this.#site.counter('agent', 'runnel_source_redelivered_total'),
      this.#site.counter('control', 'runnel_intake_rows_resent_total'),
    ]);
    for (const [index, life] of [agent, control].entries()) {
      const found = looks[index];
      if (found?.status !== 'fulfilled') continue;
      this.#highest.set(life, Math.max(found.value, this.#highest.get(life) ?? 0));
    }
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      await this.look();
      await pause(LOOK_MS);
    }
  }

  #sum(of: string): number {
    let sum = 0;
    for (const [life, value] of this.#highest) if (life.startsWith(of)) sum += value;
    return sum;
  }
}
