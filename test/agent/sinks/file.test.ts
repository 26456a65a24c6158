/** The file sink: what is in the file after crashes, rotation and mistakes. */
import {
  appendFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileSink } from '@runnel/agent/sinks/file.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import { openSink, row, rows } from '../../contracts/sink-contract.ts';
import { tempDir } from '../../support/temp-dir.ts';

const lines = (from: number, to: number): string =>
  rows(from, to)
    .map(({ output }) => `${outputLine(output)}\n`)
    .join('');

const sinkAt = (path: string, claims = new Set<string>()): FileSink => new FileSink(path, claims);

describe('the file sink', () => {
  it('writes the lines that dry-run prints, under the data directory', async () => {
    const dir = tempDir();
    const sink = await openSink(sinkAt('deep/down/rows.jsonl'), dir);
    await sink.deliver([row(1, { value: { rms: 0.5 } })]);
    expect(readFileSync(join(dir, 'deep/down/rows.jsonl'), 'utf8')).toBe(
      '{"output":"out","key":"k","windowStart":null,"windowEnd":null,' +
        '"time":1700000000001,"revision":1,"value":{"rms":0.5}}\n',
    );
  });

  it('keeps what was in the file before it, over a crash before its first commit', async () => {
    const path = join(tempDir(), 'rows.jsonl');
    writeFileSync(path, 'of another program\n');
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const sink = await openSink(sinkAt(path), dirname(path));
      await sink.deliver(rows(1, 2));
      await sink.close();
    }
    expect(readFileSync(path, 'utf8')).toBe(`of another program\n${lines(1, 2)}`);
  });

  it('cuts off half a line that a power cut left', async () => {
    const dir = tempDir();
    const path = join(dir, 'rows.jsonl');
    const first = await openSink(sinkAt(path), dir);
    await first.deliver(rows(1, 2));
    await first.deliver(rows(3, 4));
    await first.close();
    truncateSync(path, lines(1, 4).length - 20);
    const second = await openSink(sinkAt(path), dir);
    await second.deliver(rows(3, 4));
    expect(readFileSync(path, 'utf8')).toBe(lines(1, 4));
  });

  it('cuts off nothing that another program wrote, its own delivery committed or not', async () => {
    for (const next of [rows(3, 4), rows(5, 6)]) {
      const dir = tempDir();
      const path = join(dir, 'rows.jsonl');
      const first = await openSink(sinkAt(path), dir);
      await first.deliver(rows(1, 2));
      await first.deliver(rows(3, 4));
      await first.close();
      appendFileSync(path, 'of another program\n');
      const second = await openSink(sinkAt(path), dir);
      await second.deliver(next);
      const after = next.map(({ output }) => `${outputLine(output)}\n`).join('');
      expect(readFileSync(path, 'utf8')).toBe(`${lines(1, 4)}of another program\n${after}`);
    }
  });

  it('cuts off nothing when its notes were torn or damaged', async () => {
    const dir = tempDir();
    const path = join(dir, 'rows.jsonl');
    const first = await openSink(sinkAt(path), dir);
    await first.deliver(rows(1, 2));
    await first.close();
    const notes = join(dir, '.file-sinks');
    for (const name of readdirSync(notes)) truncateSync(join(notes, name), 9);
    const second = await openSink(sinkAt(path), dir);
    await second.deliver(rows(3, 4));
    expect(readFileSync(path, 'utf8')).toBe(lines(1, 4));
  });

  it('leaves nothing beside the file', async () => {
    const dir = tempDir();
    const sink = await openSink(sinkAt('out/rows.jsonl'), dir);
    await sink.deliver(rows(1, 1));
    expect(readdirSync(join(dir, 'out'))).toEqual(['rows.jsonl']);
  });

  it('goes on in a new file after a rotation, while it runs and while it is down', async () => {
    const path = join(tempDir(), 'rows.jsonl');
    const first = await openSink(sinkAt(path), dirname(path));
    await first.deliver(rows(1, 2));
    renameSync(path, `${path}.1`);
    await first.deliver(rows(3, 4));
    await first.close();
    renameSync(path, `${path}.2`);
    const second = await openSink(sinkAt(path), dirname(path));
    await second.deliver(rows(5, 6));
    const read = (name: string): string => readFileSync(name, 'utf8');
    expect([read(`${path}.1`), read(`${path}.2`), read(path)]).toEqual([
      lines(1, 2),
      lines(3, 4),
      lines(5, 6),
    ]);
  });

  it('goes on at the end of a file that was emptied by hand', async () => {
    const path = join(tempDir(), 'rows.jsonl');
    const sink = await openSink(sinkAt(path), dirname(path));
    await sink.deliver(rows(1, 2));
    truncateSync(path);
    await sink.deliver(rows(3, 4));
    expect(readFileSync(path, 'utf8')).toBe(lines(3, 4));
  });

  // fa writes 1 2 ─ restart ─ fb is first to open ─ fa goes on ─ fa's job is deleted ─ fb begins
  it('leaves a file to its first sink over restarts, until that one is gone', async () => {
    const dir = tempDir();
    const path = join(dir, 'rows.jsonl');
    const openAs = (lane: string, claims: Set<string>, ...lanes: string[]) =>
      openSink(sinkAt(path, claims), dir, { lane, isLane: (id) => lanes.includes(id) });
    const first = await openAs('fa', new Set(), 'fa', 'fb');
    await first.deliver(rows(1, 2));
    await first.close();

    const claims = new Set<string>();
    await expect(openAs('fb', claims, 'fa', 'fb')).rejects.toMatchObject({
      code: 'sink_path_taken',
      message: expect.stringContaining('belongs to fa'),
    });
    const again = await openAs('fa', claims, 'fa', 'fb');
    await again.deliver(rows(3, 4));
    await again.close();

    const heir = await openAs('fb', claims, 'fb');
    await heir.deliver(rows(5, 6));
    expect(readFileSync(path, 'utf8')).toBe(lines(1, 6));
  });

  it('knows a file under every name of it', async () => {
    const dir = tempDir();
    const claims = new Set<string>();
    await openSink(sinkAt('rows.jsonl', claims), dir);
    symlinkSync(dir, join(dir, 'link'));
    await expect(openSink(sinkAt('link/./rows.jsonl', claims), dir)).rejects.toMatchObject({
      code: 'sink_path_taken',
    });
  });

  it('says which path cannot be written, to be tried again', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'file'), '');
    const error = await openSink(sinkAt('file/rows.jsonl'), dir).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'sink_file', retry: 'backoff' });
    expect(String(error)).toContain(join(dir, 'file/rows.jsonl'));
    expect(existsSync(join(dir, 'file/rows.jsonl'))).toBe(false);
  });
});
