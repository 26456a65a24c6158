/** The task `purge`: only what is old enough goes, and nothing that was not asked for. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { taskContract } from '../../../contracts/task-contract.ts';
import { DAY_MS, DAY_START, type TaskSite, taskSite } from '../../../support/task-context.ts';

/** Runs stand for the end of the day. */
const AT = DAY_START + DAY_MS;

function job(purge: Readonly<Record<string, unknown>>) {
  return {
    tasks: [
      { id: 'archive', value: { value: 1 } },
      { id: 'task', needs: ['archive'], purge },
    ],
  };
}

async function days(site: TaskSite, count: number): Promise<void> {
  for (let day = 1; day <= count; day += 1) {
    const end = AT - (day - 1) * DAY_MS;
    const table = await site.table([{ day }]);
    const partition = { partition: `day-${day}`, start: end - DAY_MS, end };
    await site.publishDataset({ dataset: 'daily', table }, partition);
  }
}

taskContract({
  kind: 'purge',
  setup: async (site) => {
    await days(site, 4);
    return {
      program: site.program(job({ dataset: 'daily', olderThan: '2d' })),
      task: 'task',
      effects: null,
    };
  },
});

describe('a purge of a dataset', () => {
  it('removes partitions that ended so long ago, but for the newest', async () => {
    const site = taskSite();
    await days(site, 6);
    const purge = async (settings: object) => {
      const program = site.program(job({ dataset: 'daily', ...settings }));
      const { removedDatasets, output } = (await site.attempt(program, 'task')).success;
      return { names: removedDatasets?.map(({ partition }) => partition), output };
    };
    expect((await purge({ olderThan: '3d' })).names).toEqual(['day-6', 'day-5', 'day-4']);
    expect((await purge({ olderThan: '3d', keep: 4 })).names).toEqual(['day-6', 'day-5']);
    expect((await purge({ keep: 5 })).output).toMatchObject({
      removed: 1,
      kept: 5,
      items: ['day-6'],
      dryRun: false,
    });
    const dry = await purge({ olderThan: '3d', dryRun: true });
    expect(dry.names).toBeUndefined();
    expect(dry.output).toMatchObject({ removed: 3, dryRun: true });
  });

  it('warns where there is no such dataset', async () => {
    const site = taskSite();
    const program = site.program(job({ dataset: 'dayly', olderThan: '3d' }));
    const { success, context } = await site.attempt(program, 'task');
    expect(success.output).toMatchObject({ removed: 0 });
    expect(context.lines).toEqual([
      'warn no partition of a dataset dayly is on this device: is it named so?',
    ]);
  });

  it('takes only what the archive has verified, as it is now', async () => {
    const site = taskSite();
    await days(site, 4);
    const archived = site.datasets.map(({ partition, hash }) => ({ partition, hash }));
    const archive = await site.table([
      archived[1]!,
      { ...archived[2]!, hash: 'of other rows' },
      archived[3]!,
    ]);
    const program = site.program(
      job({ dataset: 'daily', olderThan: '1d', archivedBy: ['archive'] }),
    );
    const { success } = await site.attempt(program, 'task', { tables: { archive } });
    expect(success.removedDatasets?.map(({ partition }) => partition)).toEqual(['day-4', 'day-2']);
    expect(await site.failure(program, 'task')).toMatchObject({ code: 'no_archive' });
  });
});

describe('a purge of files', () => {
  function files(site: TaskSite): string {
    const folder = join(site.dataDir, 'out');
    mkdirSync(join(folder, 'old.csv.d'), { recursive: true });
    for (let day = 0; day < 5; day += 1) {
      const path = join(folder, `f${day}.csv`);
      writeFileSync(path, 'x'.repeat(10));
      const seconds = (AT - day * DAY_MS) / 1000;
      utimesSync(path, seconds, seconds);
    }
    writeFileSync(join(folder, 'f4.txt'), '');
    utimesSync(join(folder, 'f4.txt'), 1, 1);
    return folder;
  }

  it('removes matching files that are old enough, and nothing else', async () => {
    const site = taskSite();
    const folder = files(site);
    const settings = { files: 'out/*.csv*', olderThan: '2d', keep: 1 };
    const dry = site.program(job({ ...settings, dryRun: true }));
    expect((await site.attempt(dry, 'task')).success.output).toMatchObject({ removed: 3 });
    expect(readdirSync(folder)).toHaveLength(7);
    const { success } = await site.attempt(site.program(job(settings)), 'task');
    expect(success.output).toEqual({
      dryRun: false,
      removed: 3,
      bytes: 30,
      kept: 2,
      items: ['f4.csv', 'f3.csv', 'f2.csv'],
    });
    expect(readdirSync(folder).toSorted()).toEqual(['f0.csv', 'f1.csv', 'f4.txt', 'old.csv.d']);
  });

  it('follows no link, and does not leave what policy allows', async () => {
    const site = taskSite();
    const folder = files(site);
    const elsewhere = join(taskSite().dataDir, 'kept.csv');
    writeFileSync(elsewhere, 'kept');
    symlinkSync(elsewhere, join(folder, 'link.csv'));
    symlinkSync(join(elsewhere, '..'), join(site.dataDir, 'way-out'));
    const inside = site.program(job({ files: 'out/*.csv', olderThan: '0s' }));
    expect((await site.attempt(inside, 'task')).success.output).toMatchObject({ removed: 5 });
    expect(existsSync(elsewhere)).toBe(true);
    expect(readdirSync(folder)).toContain('link.csv');
    for (const path of ['way-out/*.csv', '../*', 'batch/tables/*', '/etc/*']) {
      const program = site.program(job({ files: path, olderThan: '0s' }));
      expect(await site.failure(program, 'task'), path).toMatchObject({ class: 'policy' });
    }
    expect(existsSync(elsewhere)).toBe(true);
  });

  it('without an age takes what was written after the run was due, too', async () => {
    const site = taskSite();
    const folder = files(site);
    writeFileSync(join(folder, 'f9.csv'), '');
    const late = (AT + 30 * DAY_MS) / 1000;
    utimesSync(join(folder, 'f0.csv'), late, late);
    utimesSync(join(folder, 'f9.csv'), late + 1, late + 1);
    const program = site.program(job({ files: 'out/*.csv', keep: 1 }));
    expect((await site.attempt(program, 'task')).success.output).toMatchObject({ removed: 5 });
    expect(readdirSync(folder).toSorted()).toEqual(['f4.txt', 'f9.csv', 'old.csv.d']);
  });

  it('of a directory that is not there does nothing', async () => {
    const site = taskSite();
    const program = site.program(job({ files: 'nothing/*.csv', keep: 1 }));
    expect((await site.attempt(program, 'task')).success.output).toMatchObject({ removed: 0 });
  });
});

describe('a purge of the journal', () => {
  const sources = { a: { mqtt: { topic: 'a' } }, b: { mqtt: { topic: 'b' } } };

  function archiving(site: TaskSite, purge: Readonly<Record<string, unknown>>) {
    const program = site.program({ sources, ...job({ journal: true, ...purge }) });
    const [a, b] = site.sources;
    const outputs = { archive: { source: a!.connector, purgeableUpTo: AT } };
    return { program, a: a!, b: b!, outputs };
  }

  it('stops at what all archives have, and at the age', async () => {
    const site = taskSite();
    const settings = { archivedBy: 'archive', olderThan: '1h' };
    const { program, a } = archiving(site, settings);
    const purge = async (purgeableUpTo: number) => {
      const outputs = { archive: { source: a.connector, purgeableUpTo } };
      return (await site.attempt(program, 'task', { outputs })).success.output;
    };
    expect(await purge(AT - DAY_MS)).toMatchObject({
      before: AT - DAY_MS,
      heldBy: 'archive',
    });
    expect(await purge(AT)).toMatchObject({ heldBy: null });
    expect(site.purged).toEqual([AT - DAY_MS, AT - 3_600_000]);
    const outputs = { archive: { files: [] } };
    expect(await site.failure(program, 'task', { outputs })).toMatchObject({ code: 'no_archive' });
    const dry = site.program(job({ journal: true, olderThan: '1h', dryRun: true }));
    expect((await site.attempt(dry, 'task')).success.output).toMatchObject({ removed: 0 });
    expect(site.purged).toHaveLength(2);
  });

  //   blocks   a  a  b  a
  //   dropped  ----
  it('keeps what came since a source without an archive, and says which', async () => {
    const site = taskSite();
    const { program, a, b, outputs } = archiving(site, { archivedBy: 'archive' });
    await site.append(a, [{ arrivalMs: AT - 50, payload: 1 }]);
    await site.append(a, [{ arrivalMs: AT - 40, payload: 1 }]);
    await site.append(b, [{ arrivalMs: AT - 30, payload: 1 }]);
    await site.append(a, [{ arrivalMs: AT - 20, payload: 1 }]);
    const { success, context } = await site.attempt(program, 'task', { outputs });
    expect(success.output).toMatchObject({ before: AT - 30, heldBy: 'job/b' });
    expect(site.purged).toEqual([AT - 30]);
    expect(context.lines.join()).toContain('job/b');
  });

  it('goes past other sources when their records are younger, or no archive is named', async () => {
    const site = taskSite();
    const { program, a, b, outputs } = archiving(site, { archivedBy: 'archive', olderThan: '1h' });
    await site.append(a, [{ arrivalMs: AT - DAY_MS, payload: 1 }]);
    await site.append(b, [{ arrivalMs: AT - 30, payload: 1 }]);
    const age = AT - 3_600_000;
    const { output } = (await site.attempt(program, 'task', { outputs })).success;
    expect(output).toMatchObject({ before: age, heldBy: null });
    const all = site.program(job({ journal: true, olderThan: '0s' }));
    expect((await site.attempt(all, 'task')).success.output).toMatchObject({ heldBy: null });
    expect(site.purged).toEqual([age, AT]);
  });

  it('leaves the history that jobs of the device have asked for', async () => {
    const site = taskSite();
    site.historyFromMs = AT - 7 * DAY_MS;
    const { program, outputs } = archiving(site, { archivedBy: 'archive' });
    const { output } = (await site.attempt(program, 'task', { outputs })).success;
    expect(output).toMatchObject({ before: AT - 7 * DAY_MS, heldBy: 'history' });
  });
});
