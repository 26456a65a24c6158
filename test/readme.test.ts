/**
 * Every `npx runnel` command of the README: what needs no server is run, of the rest the program
 * must know the command and each of its options. Its jobs pass.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { dryRun, runTests } from './agent/cli/batch-world.ts';
import { runnel } from './control-plane/cli/cli-terminal.ts';
import { repository } from './support/processes.ts';

const readme = readFileSync(join(repository, 'README.md'), 'utf8');
const commands = [...readme.matchAll(/^ *npx runnel (.+)$/gm)].map(([, line = '']) => line);

const jobs = [...readme.matchAll(/^```yaml\n(apiVersion.*?)^```$/gms)].map(([, text = '']) => text);

function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

const isLocal = ([first, second, third]: readonly string[]): boolean =>
  first === 'schedule' ||
  first === 'test' ||
  (first === 'dry-run' && third === '--at' && second !== undefined);

const local = commands.filter((line) => isLocal(wordsOf(line)));
const remote = commands.filter((line) => !isLocal(wordsOf(line)) && !line.startsWith('dry-run'));

it.each(jobs)('a job of the README passes: %s', (text) => {
  expect(parseJob(text).job.name).toBe('nightly');
});

describe('a command of the README', () => {
  it('is there for every part of the work', () => {
    expect(local.length).toBeGreaterThanOrEqual(4);
    expect(remote.length).toBeGreaterThanOrEqual(10);
  });

  it.each(local)('runs with no server: runnel %s', async (line) => {
    const [name, ...rest] = wordsOf(line);
    const file = join(repository, rest[0] ?? '');
    const ran =
      name === 'test'
        ? await runTests(file)
        : name === 'dry-run'
          ? await dryRun(file, { at: rest[2] ?? '' })
          : await runnel([name ?? '', ...rest]);
    expect(ran.code, ran.out + ran.err).toBe(0);
  });

  it.each(remote)('is one that the program knows: runnel %s', async (line) => {
    const words = wordsOf(line);
    const parents = ['get', 'describe', 'token', 'agents', 'rollout', 'params', 'receivers'];
    const isNested =
      parents.includes(words[0] ?? '') || /^(ack|silence|compliance)$/.test(words[1] ?? '');
    const name = words.slice(0, isNested ? 2 : 1);
    const { code, out } = await runnel([...name, '--help']);
    expect(code, out).toBe(0);
    expect(out).toContain(`Usage: runnel ${name.join(' ')}`);
    for (const option of words.filter((word) => word.startsWith('-'))) {
      expect(out).toMatch(new RegExp(`(^|\\s)${option}[\\s,]`, 'm'));
    }
  });
});
