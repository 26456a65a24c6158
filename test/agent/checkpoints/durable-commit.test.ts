/** I1, the store's part: a commit resolves only when it is on disk, as the kernel sees it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith, requireProgram } from '../../support/programs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { judgeCommits } from './durable-order.ts';
import { bundle } from './verify-entry.ts';

const COMMITS = 40;
const CALLS = 'openat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync';

describeWith(['strace'], 'a commit', () => {
  it('resolves after the sync of its pages and the write-through of its meta page', async () => {
    const entry = await bundle('test/agent/checkpoints/commit-worker.ts', 'commit-worker');
    const dir = tempDir('durable');
    const trace = join(dir, 'trace');
    const flags = ['-f', '-ttt', '-T', '-y', '-s', '0', '-e', `trace=${CALLS}`, '-o', trace];
    const command = [process.execPath, entry, join(dir, 'store'), String(COMMITS)];
    execFileSync(requireProgram('strace'), [...flags, ...command], { stdio: 'ignore' });
    const verdict = judgeCommits(readFileSync(trace, 'utf8'));
    expect(verdict).toEqual({ commits: COMMITS, early: [] });
  }, 60_000);

  it('that left out the sync, or the meta page, or came too early would be found', () => {
    const line = (at: number, call: string) => `7 ${at.toFixed(6)} ${call} <0.000100>`;
    const open = line(1, 'openat(AT_FDCWD, "/s/data.mdb", O_WRONLY|O_DSYNC) = 9</s/data.mdb>');
    const pages = line(2, 'pwrite64(8</s/data.mdb>, ""..., 4096, 8192) = 4096');
    const sync = line(3, 'fdatasync(8</s/data.mdb>) = 0');
    const meta = line(4, 'pwrite64(9</s/data.mdb>, ""..., 120, 0) = 120');
    const word = line(5, 'write(1</dev/null>, ""..., 12) = 12');
    const early = (...lines: string[]) => judgeCommits(lines.join('\n')).early.length;
    expect(early(open, pages, sync, meta, word)).toBe(0);
    expect(early(open, pages, meta, word)).toBe(1);
    expect(early(open, pages, sync, word)).toBe(1);
    expect(early(open, sync, meta, word)).toBe(1);
    expect(early(pages, sync, meta, word), 'a meta page that is not written through').toBe(1);
    const slow = line(3, 'fdatasync(8</s/data.mdb>) = 0').replace('0.000100', '9.000000');
    expect(early(open, pages, slow, meta, word), 'the sync was not over').toBe(1);
  });
});
