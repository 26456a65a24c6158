/** Rows for store tests, with everything that a test does not care about filled in. */
import type { Insertable, Kysely } from 'kysely';
import type { AgentsTable, ResultsTable, Schema } from '@runnel/control-plane/store/schema.ts';

type AgentInput = Partial<Omit<Insertable<AgentsTable>, 'labels'>> & {
  readonly id: string;
  readonly labels?: Record<string, string>;
};

export async function insertAgent(db: Kysely<Schema>, input: AgentInput): Promise<void> {
  const { labels = {}, ...rest } = input;
  await db
    .insertInto('agents')
    .values({
      name: input.id,
      public_key: `U${input.id}`,
      status: 'approved',
      fixed_labels: '[]',
      platform: JSON.stringify({ os: 'linux', arch: 'arm64', node: '22' }),
      agent_version: '0.1.0',
      enrolled_at: 1,
      credentials_expire_at: null,
      last_seen_at: null,
      last_heartbeat: null,
      revoked_at: null,
      ...rest,
      labels: JSON.stringify(labels),
    })
    .execute();
}

type ResultInput = Partial<Omit<Insertable<ResultsTable>, 'key' | 'value'>> & {
  readonly seq: number;
  readonly key?: unknown;
  readonly value?: unknown;
};

export async function insertResults(
  db: Kysely<Schema>,
  inputs: readonly ResultInput[],
): Promise<void> {
  for (const { key = null, value = { n: 1 }, ...rest } of inputs) {
    await db
      .insertInto('results')
      .values({
        agent: 'a1',
        epoch: 'e1',
        lane: 'results',
        kind: 'result',
        job: 'press',
        version: 1,
        step: 'rms',
        dataset: 'rms',
        window_start: null,
        window_end: null,
        time: rest.window_end === undefined ? rest.seq : Number(rest.window_end) - 1,
        revision: 1,
        made_at: 1,
        received_at: rest.seq,
        ...rest,
        key: JSON.stringify(key),
        value: JSON.stringify(value),
      })
      .execute();
  }
}

/** Runs of one agent that succeeded. */
export async function insertRuns(db: Kysely<Schema>, runs: readonly string[]): Promise<void> {
  for (const run of runs) {
    await db
      .insertInto('runs')
      .values({
        ...{ agent: 'a1', run, job: 'nightly', version: 1, key: 'nightly/p', partition: 'p' },
        ...{ partition_start: 0, partition_end: 1, trigger: 'manual', state: 'success', at: 1 },
        ...{ queued_at: 1, started_at: 1, ended_at: 2, tries: 1, received_at: 1 },
        ...{ parameters: '{}', origins: '{}', tasks: '[]', error: 'null', affected: '{}' },
      })
      .execute();
  }
}
