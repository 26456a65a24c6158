/**
 * Golden cases: a job, its input, and what must come out, derived by hand. Each runs straight
 * through, and killed and restored at every checkpoint (after every entry); both must give the same
 * bytes as the same expected file.
 *
 * cases/<name>/job.yaml, input.jsonl (or input.<source>.jsonl, merged in the order of the job's
 * sources), expected.jsonl; dead-letters.jsonl (`step`, `reason`, `at`) and counters.json if any.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { readEntries } from '@runnel/agent/cli/input-lines.ts';
import { loadStreamJob } from '@runnel/agent/cli/load-stream-job.ts';
import type { StreamJobProgram } from '@runnel/shared/engine/compile-stream-job.ts';
import { type DryRunInput, dryRun } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState, type StateDump } from '@runnel/shared/engine/memory-state.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import type { DeadLetter, JobCounters } from '@runnel/shared/engine/stream-job.ts';
import { killedAfterEveryEntry } from '../support/engine-crash.ts';

const CASES = join(dirname(fileURLToPath(import.meta.url)), 'cases');

describe.each(readdirSync(CASES))('golden case %s', (name) => {
  const dir = join(CASES, name);
  const expected = readFileSync(join(dir, 'expected.jsonl'), 'utf8');

  test('gives the expected bytes straight through', async () => {
    const result = await runCase(dir, (program) => program);
    expect(result.text).toBe(expected);
    checkBeside(dir, result);
  });

  test('gives the same bytes when it is killed and restored at every checkpoint', async () => {
    const counted: JobCounters[] = [];
    const result = await runCase(dir, (program) =>
      killedAfterEveryEntry(
        program,
        (state) => new MemoryState(decode(encode((state as MemoryState).dump())) as StateDump),
        (counters) => counted.push(counters),
      ),
    );
    expect(result.text).toBe(expected);
    checkBeside(dir, result);
    expect(counted.length).toBeGreaterThan(0);
  });
});

interface CaseResult {
  readonly text: string;
  readonly letters: readonly DeadLetter[];
  readonly counters: JobCounters;
}

async function runCase(
  dir: string,
  wrap: (program: StreamJobProgram) => StreamJobProgram,
): Promise<CaseResult> {
  const job = await loadStreamJob(join(dir, 'job.yaml'));
  const sources = Object.keys(job.parsed.job.sources);
  const inputs = sources.flatMap((source): DryRunInput[] => {
    const own = join(dir, `input.${source}.jsonl`);
    const file = existsSync(own) ? own : join(dir, 'input.jsonl');
    return existsSync(file) ? [{ source, chunks: readEntries(file, Readable.from([])) }] : [];
  });
  const letters: DeadLetter[] = [];
  const outputs = dryRun(wrap(job.program({})), inputs, {
    state: new MemoryState(),
    flush: true,
    deadLetter: (letter) => letters.push(letter),
  });
  let text = '';
  for (;;) {
    const result = await outputs.next();
    if (result.done === true) return { text, letters, counters: result.value };
    for (const output of result.value) text += `${outputLine(output)}\n`;
  }
}

function checkBeside(dir: string, result: CaseResult): void {
  const lettersFile = join(dir, 'dead-letters.jsonl');
  const wanted = existsSync(lettersFile) ? readFileSync(lettersFile, 'utf8') : '';
  const found = result.letters.map(({ step, reason, at }) => JSON.stringify({ step, reason, at }));
  expect(found).toEqual(wanted.split('\n').filter((line) => line !== ''));
  expect(result.counters.deadLetters).toBe(found.length);
  const countersFile = join(dir, 'counters.json');
  if (!existsSync(countersFile)) return;
  expect(result.counters).toMatchObject(JSON.parse(readFileSync(countersFile, 'utf8')) as object);
}
