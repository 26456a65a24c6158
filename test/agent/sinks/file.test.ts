/** The file sink: what is in the file after crashes, rotation and mistakes. */
import {
  appendFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
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
    const path = join(tempDir(), 'rows.jsonl');
    const first = await openSink(sinkAt(path), dirname(path));
    const state = await first.deliver(rows(1, 2));
    await first.close();
    appendFileSync(path, lines(3, 4).slice(0, -20));
    const second = await openSink(sinkAt(path), dirname(path), state);
    await second.deliver(rows(3, 4));
    expect(readFileSync(path, 'utf8')).toBe(lines(1, 4));
  });

  it('leaves nothing but the file behind once it is committed', async () => {
    const path = join(tempDir(), 'rows.jsonl');
    const sink = await openSink(sinkAt(path), dirname(path));
    await sink.deliver(rows(1, 1));
    expect(readdirSync(dirname(path))).toEqual(['rows.jsonl', 'rows.jsonl.runnel-base']);
    await sink.deliver(rows(2, 2));
    expect(readdirSync(dirname(path))).toEqual(['rows.jsonl']);
  });

  it('goes on in a new file after a rotation, while it runs and while it is down', async () => {
    const path = join(tempDir(), 'rows.jsonl');
    const first = await openSink(sinkAt(path), dirname(path));
    await first.deliver(rows(1, 2));
    renameSync(path, `${path}.1`);
    const state = await first.deliver(rows(3, 4));
    await first.close();
    renameSync(path, `${path}.2`);
    const second = await openSink(sinkAt(path), dirname(path), state);
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

  it('refuses a second sink on the same file until the first is closed', async () => {
    const path = join(tempDir(), 'rows.jsonl');
    const claims = new Set<string>();
    const first = await openSink(sinkAt(path, claims), dirname(path));
    const second = sinkAt('rows.jsonl', claims);
    await expect(openSink(second, dirname(path))).rejects.toMatchObject({
      code: 'sink_path_taken',
    });
    await first.close();
    await openSink(second, dirname(path));
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
