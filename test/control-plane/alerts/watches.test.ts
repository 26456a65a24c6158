/** Watches of devices and runs: what is heard while they write is judged by the next look. */
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AlertBook } from '@runnel/control-plane/alerts/alert-book.ts';
import { DeviceWatch } from '@runnel/control-plane/alerts/device-watch.ts';
import { RunWatch } from '@runnel/control-plane/alerts/run-watch.ts';
import { applyRuns } from '@runnel/control-plane/intake/apply-runs.ts';
import type { HealthReport } from '@runnel/control-plane/intake/fleet-health.ts';
import type { AgentRecord } from '@runnel/control-plane/store/agents.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { ManualClock } from '../../agent/streams/manual-clock.ts';
import { runRowOf } from '../../support/runs.ts';
import { tempDir } from '../../support/temp-dir.ts';

const T0 = Date.parse('2026-11-30T12:00:00Z');
const PRESS_1: AgentRecord = {
  ...{ id: 'a', name: 'press-1', labels: {}, status: 'approved', fixedLabels: [] },
  ...{ platform: { os: 'linux', arch: 'x64', node: '20' }, agentVersion: '1.0.0', enrolledAt: 1 },
  ...{ credentialsExpireAt: null, lastSeenAt: 1, revokedAt: null },
};

const condition = (type: string): Condition => ({
  ...{ type, axis: 'resources', severity: 'warning', reason: 'Bad', message: 'bad', since: 1 },
});

async function openBook() {
  const store = await openStore(join(tempDir('watches'), 'store.db'));
  onTestFinished(() => store.close());
  const clock = new ManualClock(T0);
  const parts = { db: store.db, clock, random: systemRandom, silencedBy: () => null };
  const book = await AlertBook.open(parts);
  const titles = (): string[] => [...book.openAlerts()].map(({ title }) => title);
  return { db: store.db, clock, book, titles };
}

type World = Awaited<ReturnType<typeof openBook>>;

/** One device, which says what a test puts into `said`. */
function deviceWatch({ book, clock }: Pick<World, 'book' | 'clock'>) {
  const said: {
    conditions: readonly Condition[];
    heartbeat: HealthReport['heartbeat'];
    unjudged: readonly string[];
  } = { conditions: [], heartbeat: undefined, unjudged: [] };
  const watch = new DeviceWatch({
    ...{ book, clock, offlineAfterMs: 1000, hearsSinceMs: () => 0 },
    agents: () => [PRESS_1],
    agent: () => PRESS_1,
    report: () => ({
      ...{ connection: 'online', connectionSince: 1, lastSeenAt: 1, heardUpTo: 1 },
      ...said,
    }),
    unjudged: () => said.unjudged,
  });
  return { watch, said };
}

describe('a device', () => {
  it('that is heard while the alert of before is written is judged again', async () => {
    const world = await openBook();
    const { watch, said } = deviceWatch(world);
    said.conditions = [condition('resources/disk')];
    world.book.onChange(([change]) => {
      if (change?.change !== 'opened') return;
      said.conditions = [];
      watch.touch('a');
    });
    await watch.look();
    expect(world.titles()).toEqual(['press-1: resources/disk Bad']);
    await watch.look();
    expect(world.titles()).toEqual([]);
  });

  it('keeps the alerts of which nothing can be said yet, and no others', async () => {
    const world = await openBook();
    const { watch, said } = deviceWatch(world);
    said.conditions = ['clock', 'cloned', 'resources/disk'].map(condition);
    await watch.look();
    expect(world.titles()).toHaveLength(3);
    // The control plane began anew: it has not heard enough to see them itself.
    said.conditions = [];
    said.unjudged = ['clock', 'cloned'];
    watch.touch('a');
    await watch.look();
    expect(world.titles()).toEqual(['press-1: clock Bad', 'press-1: cloned Bad']);
    said.unjudged = ['cloned'];
    said.conditions = [condition('cloned')];
    watch.touch('a');
    await watch.look();
    expect(world.titles()).toEqual(['press-1: cloned Bad']);
    said.conditions = [];
    said.unjudged = [];
    watch.touch('a');
    await watch.look();
    expect(world.titles()).toEqual([]);
  });

  it('whose alert could not be written is judged again', async () => {
    const world = await openBook();
    const { watch, said } = deviceWatch(world);
    await watch.look();
    said.conditions = [condition('resources/disk')];
    watch.touch('a');
    await world.db.schema.alterTable('alerts').renameTo('alerts_away').execute();
    await expect(watch.look()).rejects.toThrow('alerts');
    await world.db.schema.alterTable('alerts_away').renameTo('alerts').execute();
    await watch.look();
    expect(world.titles()).toEqual(['press-1: resources/disk Bad']);
  });
});

describe('a run', () => {
  it('that ends while the alert of before is written is judged again', async () => {
    const { db, clock, book, titles } = await openBook();
    const watch = new RunWatch({ db, book, clock, agent: () => PRESS_1 });
    const times = { at: T0, queuedAt: T0, startedAt: T0, endedAt: T0 };
    const report = async (more: Partial<RunReport>): Promise<void> => {
      const row = { seq: 1, version: 1, at: T0, ...runRowOf({ ...times, ...more }) } as Row;
      const { changes } = await db
        .transaction()
        .execute((transaction) => applyRuns(transaction, 'a', [row], T0));
      watch.stored(changes);
    };
    await watch.look();
    const error = { class: 'data', code: 'quality', message: 'rows are missing' } as const;
    await report({ run: 'r1', state: 'failed', error });
    let later: Promise<void> = Promise.resolve();
    book.onChange(([change]) => {
      if (change?.change === 'opened') later = report({ run: 'r2', state: 'success' });
    });
    const commit = book.commit.bind(book);
    // The success is stored before the commit of the failure answers.
    book.commit = async (work, also) => {
      const changes = await commit(work, also);
      await later;
      return changes;
    };
    await watch.look();
    expect(titles()).toEqual(['nightly failed on press-1']);
    await watch.look();
    expect(titles()).toEqual([]);
  });
});
