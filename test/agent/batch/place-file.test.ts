/** Files get their place whole, and are what was to be placed. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { placeFile, replaceFile } from '@runnel/agent/batch/tables/place-file.ts';
import { tempDir } from '../../support/temp-dir.ts';

function made() {
  const dir = tempDir('place');
  const [from, to] = [join(dir, 'made'), join(dir, 'out', 'x.parquet')];
  writeFileSync(from, 'verified');
  return { dir, from, to, beside: () => readdirSync(join(dir, 'out')) };
}

describe('a file that is placed', () => {
  it('is read back when it is copied: a torn copy replaces nothing', async () => {
    const { from, to, beside } = made();
    await placeFile(from, to, { keep: true });
    const torn = async (_: string, path: string): Promise<void> => writeFileSync(path, 'verifie\0');
    const failure = await placeFile(from, to, { keep: true, copy: torn }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ class: 'data', code: 'file_mismatch' });
    expect(readFileSync(to, 'utf8')).toBe('verified');
    expect(beside()).toEqual(['x.parquet']);
    expect(existsSync(from)).toBe(true);
  });

  it('is moved where the original is not kept', async () => {
    const { from, to } = made();
    expect(await placeFile(from, to)).toBe(8);
    expect(existsSync(from)).toBe(false);
  });

  it('is written beside under a name that no other attempt has', async () => {
    const { to, beside } = made();
    const names: string[] = [];
    await replaceFile(to, async (first) => {
      writeFileSync(first, 'first');
      await replaceFile(to, async (second) => {
        names.push(first, second);
        writeFileSync(second, 'second');
      });
      expect(readFileSync(to, 'utf8')).toBe('second');
      expect(readFileSync(first, 'utf8')).toBe('first');
    });
    expect(new Set(names).size).toBe(2);
    expect(readFileSync(to, 'utf8')).toBe('first');
    expect(beside()).toEqual(['x.parquet']);
  });

  it('takes away what a process that died has left beside it, and nothing else', async () => {
    const { dir, from, to, beside } = made();
    await replaceFile(to, async (path) => writeFileSync(path, ''));
    for (const name of ['.x.parquet.1-1.new', '.x.parquet.mine.new', 'x.parquet.1-1.new']) {
      writeFileSync(join(dir, 'out', name), '');
    }
    await placeFile(from, to);
    expect(beside().toSorted()).toEqual(['.x.parquet.mine.new', 'x.parquet', 'x.parquet.1-1.new']);
  });
});
