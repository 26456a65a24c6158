/**
 * One crash run of batch jobs: an agent works on two jobs while it and its children are SIGKILLed
 * at seeded instants; when both have ended, what they left is compared with an undisturbed run.
 *
 *   start ──x────────x─────x──────────x──────▶ both runs have ended ▶ SIGTERM ▶ audit
 *         agent    child  agent      child
 */
import { seededRandom } from '@runnel/shared/random.ts';
import { bundleTool } from '../../support/processes.ts';
import { pause } from '../../support/pause.ts';
import { Postgres } from '../../support/postgres.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { verifyEntry } from '../../agent/checkpoints/verify-entry.ts';
import { childEntry } from '../../support/child-entry.ts';
import { differences, leftovers, type Outcome, outcomeOf, plainFaults } from './crash-audit.ts';
import { crashJobs, TABLES } from './crash-job.ts';
import { CrashDevice } from './crash-site.ts';
import { GAP } from './plants.ts';
import { Receiver } from './receiver.ts';

export interface RoundOptions {
  readonly seed: number;
  readonly kills: number;
  readonly plant?: string;
  readonly deadlineMs?: number;
}

export interface RoundReport {
  readonly wrong: readonly string[];
  readonly kills: CrashDevice['kills'];
  /** Instances of tasks that took more than one attempt. */
  readonly again: number;
}

/**
 * A kill falls into this share of the time that the undisturbed run took, counted from when the
 * agent has its jobs: so it cuts work off on slow machines and on fast ones.
 */
const SPREAD = 0.7;
/** Into the gap of a planted bug: what is committed beside it is on disk. */
const IN_GAP_MS = 500;
/** Between the kill of a child and that of the agent. */
const CHILD_MS = 300;

/** What the rounds share: PostgreSQL, the receiver, the bundles, and the undisturbed outcome. */
export class CrashBench {
  readonly #postgres: Postgres;
  readonly #receiver: Receiver;
  readonly #script: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #at: string;
  #rounds = 0;
  #undisturbed: Outcome | undefined;
  #workMs = 0;

  static async start(startMs: number): Promise<CrashBench> {
    const [postgres, receiver, entry] = await Promise.all([
      Postgres.start(),
      Receiver.start(),
      verifyEntry(),
    ]);
    return new CrashBench(postgres, receiver, entry, startMs);
  }

  private constructor(postgres: Postgres, receiver: Receiver, entry: string, startMs: number) {
    this.#postgres = postgres;
    this.#receiver = receiver;
    this.#script = bundleTool('test/e2e/batch/device-agent.ts');
    this.#env = { RUNNEL_VERIFY_ENTRY: entry, RUNNEL_CHILD_ENTRY: childEntry() };
    this.#at = new Date(startMs - 60_000 * 60).toISOString();
  }

  async stop(): Promise<void> {
    await this.#receiver.stop();
    await this.#postgres.stop();
  }

  /** Faults of the undisturbed run, which every round is compared with. */
  async undisturbed(): Promise<readonly string[]> {
    const { outcome, wrong } = await this.#round({ seed: 0, kills: 0 });
    this.#undisturbed = outcome;
    return [...wrong, ...plainFaults(outcome)];
  }

  async round(options: RoundOptions): Promise<RoundReport> {
    const faults = this.#undisturbed === undefined ? await this.undisturbed() : [];
    const { outcome, wrong, kills, again } = await this.#round(options);
    const different = differences(this.#undisturbed!, outcome);
    return { wrong: [...faults, ...wrong, ...different], kills, again };
  }

  async #round(options: RoundOptions): Promise<RoundReport & { readonly outcome: Outcome }> {
    const round = `round${++this.#rounds}`;
    await this.#postgres.query(`CREATE DATABASE ${round}`);
    await this.#postgres.query(TABLES, [], round);
    const jobs = crashJobs({
      http: this.#receiver.url(round),
      postgres: this.#postgres.url(round),
      at: this.#at,
    });
    const env = { ...this.#env, RUNNEL_PLANT: options.plant ?? '' };
    const dir = tempDir('batch-crash');
    const device = await CrashDevice.start({ dir, script: this.#script, env, jobs });
    try {
      await device.working();
      const fromMs = performance.now();
      await strike(device, options, this.#workMs);
      const wrong = await settled(device, options.deadlineMs ?? 40_000);
      if (options.kills === 0) this.#workMs = performance.now() - fromMs;
      await device.stop();
      const left = device.processes().map((each) => `process ${each} is left`);
      const { outcome, again } = await outcomeOf({
        dataDir: device.dataDir,
        postgres: this.#postgres,
        database: round,
        receiver: this.#receiver,
        round,
      });
      wrong.push(...left, ...this.#receiver.wrong(round));
      wrong.push(...leftovers(outcome).map((each) => `${each} is left`));
      return { outcome, wrong, kills: device.kills, again };
    } catch (error) {
      const log = device.log().slice(-6000);
      throw new Error(`round with seed ${options.seed} broke\n${log}`, { cause: error });
    } finally {
      await device.kill();
    }
  }
}

async function strike(
  device: CrashDevice,
  { seed, kills, plant }: RoundOptions,
  workMs: number,
): Promise<void> {
  const random = seededRandom(seed);
  for (let struck = 0; struck < kills; struck++) {
    await device.working();
    if (plant === undefined) await pause(random.next() * SPREAD * workMs);
    else {
      await waitFor('the gap of the planted bug', () => device.said(GAP), 30_000);
      await pause(IN_GAP_MS);
    }
    // A child in between: the agent lives on, and must make the attempt again.
    if (plant === undefined) {
      device.killChild((count) => Math.floor(random.next() * count));
      await pause(random.next() * CHILD_MS);
    }
    await device.killAgent();
  }
}

/** What did not end as it should. */
async function settled(device: CrashDevice, deadlineMs: number): Promise<string[]> {
  const ended = async (): Promise<boolean> => {
    const jobs = await device.jobs();
    return (
      jobs.length === 2 &&
      jobs.every(({ batch }) => {
        const runs = Object.values(batch?.ended ?? {}).reduce((sum, count) => sum + count, 0);
        return runs >= 1 && batch?.activeRuns === 0 && batch.queuedRuns === 0;
      })
    );
  };
  try {
    await waitFor('both jobs to have run', ended, deadlineMs);
    return [];
  } catch (error) {
    // What is missing then is a finding too.
    const jobs = JSON.stringify(await device.jobs().catch(() => []));
    return [`${(error as Error).message}: ${jobs}\n${device.log().slice(-3000)}`];
  }
}
