/** The file source on real files: growth, rotation, truncation, restarts. */
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileSource } from '@runnel/agent/sources/file.ts';
import { limits } from '@runnel/shared/limits.ts';
import { CommitDriver, type DriverOptions, Durable } from '../../contracts/commit-driver.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

interface Options extends DriverOptions {
  readonly from?: 'start' | 'end';
}

async function tail(
  path: string,
  options: Options = {},
  durable = new Durable(),
): Promise<CommitDriver> {
  const settings = { path, from: options.from ?? 'start', everyMs: 10 } as const;
  const driver = new CommitDriver(new FileSource('file-test', settings), durable, options);
  onTestFinished(() => driver.source.stop());
  return driver.start();
}

const has = (driver: CommitDriver, count: number): Promise<boolean> =>
  waitFor(`${count} lines`, () => driver.durable.records.length >= count);

describe('the file source', () => {
  it('takes whole lines with path and position, LF or CRLF, and no empty ones', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, 'one\r\n\n\r\ntwo\nthr');
    const driver = await tail(path);
    await has(driver, 2);
    appendFileSync(path, 'ee\nfour');
    await has(driver, 3);
    expect(driver.durable.records).toEqual([
      { topic: path, text: 'one', bytes: 3, meta: { path, offset: 0 } },
      { topic: path, text: 'two', bytes: 3, meta: { path, offset: 8 } },
      { topic: path, text: 'three', bytes: 5, meta: { path, offset: 12 } },
    ]);
  });

  it('waits for a file that is not there, and says so', async () => {
    const path = join(tempDir(), 'later');
    const driver = await tail(path, { from: 'end' });
    await waitFor('error', () => driver.error !== undefined);
    expect(driver.error).toContain('is not there (yet)');
    writeFileSync(path, 'first\n');
    await has(driver, 1);
    expect(driver.connected).toBe(true);
  });

  it('begins at the end when asked to, and behind a line that is being written', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, 'old\nhalf of a li');
    const driver = await tail(path, { from: 'end' });
    await waitFor('the end is stored', () => driver.durable.offset !== null);
    const durable = await driver.crash();
    appendFileSync(path, 'ne\nnew\n');
    await tail(path, { from: 'end' }, durable);
    await waitFor('new', () => durable.records.length > 0);
    expect(durable.texts).toEqual(['new']);
  });

  it('reads a renamed file to its end, its last line too, before the new one', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, 'a1\n');
    const driver = await tail(path);
    await has(driver, 1);
    appendFileSync(path, 'a2\nlast');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'b1\n');
    await has(driver, 4);
    appendFileSync(path, 'b2\n');
    await has(driver, 5);
    expect(driver.durable.texts).toEqual(['a1', 'a2', 'last', 'b1', 'b2']);
  });

  it('finds a file that was renamed while the agent was down', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, 'a1\na2\n');
    const first = await tail(path, { auto: false });
    await waitFor('offered', () => first.gathered.length === 2);
    first.commit(1);
    const durable = await first.crash();
    appendFileSync(path, 'a3\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'b1\n');
    await has(await tail(path, {}, durable), 4);
    expect(durable.texts).toEqual(['a1', 'a2', 'a3', 'b1']);
  });

  it('begins anew in a file that was replaced or removed while the agent was down', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, 'a1\n');
    const first = await tail(path);
    await has(first, 1);
    const durable = await first.crash();
    rmSync(path);
    // The file system may give the new file the old one's inode.
    writeFileSync(path, 'b1\nb2\n');
    await has(await tail(path, {}, durable), 3);
    expect(durable.texts).toEqual(['a1', 'b1', 'b2']);
  });

  it('begins anew when the file is cut short, while it runs and while it is down', async () => {
    const path = join(tempDir(), 'log');
    writeFileSync(path, 'a1\na2\nhal');
    const first = await tail(path);
    await has(first, 2);
    truncateSync(path);
    appendFileSync(path, 'b1\n');
    await has(first, 3);
    const durable = await first.crash();
    truncateSync(path);
    appendFileSync(path, 'c\n');
    await has(await tail(path, {}, durable), 4);
    expect(durable.texts).toEqual(['a1', 'a2', 'b1', 'c']);
  });

  it('drops a line above the bound, counted, and goes on behind it', async () => {
    const path = join(tempDir(), 'log');
    const exactly = 'x'.repeat(limits.payloadBytesMax);
    writeFileSync(path, `a\n${exactly}\n${exactly}y\n${'z'.repeat(3_000_000)}\nb\n`);
    const driver = await tail(path);
    await has(driver, 3);
    expect(driver.durable.records.map(({ bytes }) => bytes)).toEqual([
      1,
      limits.payloadBytesMax,
      1,
    ]);
    expect(driver.dropped).toEqual({ payload_too_large: 2 });
  });

  it('counts every line once over kills at any commit', async () => {
    const path = join(tempDir(), 'log');
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index}`);
    writeFileSync(path, `${lines.join('\n')}\n`);
    const durable = new Durable();
    for (let round = 1; round <= 20; round += 1) {
      const driver = await tail(path, { auto: false, gatherMax: 60 }, durable);
      await waitFor('full', () => driver.gathered.length === 60);
      driver.commit(round);
      driver.flush(round * 2);
      await driver.crash();
    }
    await has(await tail(path, {}, durable), 3000);
    expect(durable.texts).toEqual(lines);
  });
});
