/** The commands of batch jobs as a person runs them, in this process. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { type DryRunFlags, dryRunAnyCommand } from '@runnel/agent/cli/dry-run-any.ts';
import { errorText, exitCodeOf } from '@runnel/agent/cli/error-text.ts';
import type { Terminal } from '@runnel/agent/cli/terminal.ts';
import { testAnyCommand } from '@runnel/agent/cli/test-any.ts';
import type { TaskLine } from '@runnel/agent/cli/batch/run-lines.ts';
import { childEntry } from '../../support/child-entry.ts';
import { fakeStreams } from '../../support/engine-streams.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { verifyEntry } from '../checkpoints/verify-entry.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Of `--output jsonl`. */
  readonly tasks: readonly TaskLine[];
  readonly runs: readonly { readonly key: string; readonly state: string }[];
}

/** A job document without head, in a file of its own. */
export function jobFile(yaml: string, kind = 'BatchJob'): string {
  const file = join(tempDir('dry-run-batch'), 'job.yaml');
  const head = `apiVersion: runnel/v1\nkind: ${kind}\nmetadata: { name: job }\n`;
  writeFileSync(file, head + yaml);
  return file;
}

export interface RunOptions extends Partial<DryRunFlags> {
  readonly stdin?: string;
  /** Called with what sends the signal. */
  readonly interrupt?: (send: () => void) => void;
}

export async function dryRun(job: string, options: RunOptions = {}): Promise<Ran> {
  const { stdin = '', interrupt, ...flags } = options;
  const io = fakeStreams(stdin);
  const terminal = await terminalOf(interrupt);
  let code: number;
  try {
    const all = { input: [], param: [], flush: true, ...flags };
    code = await dryRunAnyCommand(job, all, io, terminal);
  } catch (error) {
    io.stderr.write(errorText(error));
    code = exitCodeOf(error);
  }
  return { code, out: io.out(), err: io.err(), ...linesOf(io.out()) };
}

export async function execute(job: string, options: RunOptions = {}): Promise<Ran> {
  return dryRun(job, { execute: true, output: 'jsonl', ...options });
}

export async function runTests(job: string): Promise<Pick<Ran, 'code' | 'out' | 'err'>> {
  const io = fakeStreams();
  const code = await testAnyCommand({ job }, io, await terminalOf());
  return { code, out: io.out(), err: io.err() };
}

async function terminalOf(interrupt?: RunOptions['interrupt']): Promise<Terminal> {
  return {
    out: () => {},
    err: () => {},
    clock: systemClock,
    random: systemRandom,
    verifyEntry: await verifyEntry(),
    childEntry: childEntry(),
    env: process.env,
    onInterrupt(listener) {
      interrupt?.(listener);
      return () => {};
    },
  };
}

function linesOf(out: string): Pick<Ran, 'tasks' | 'runs'> {
  if (!out.startsWith('{"')) return { tasks: [], runs: [] };
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TaskLine & { run?: Ran['runs'][number] });
  return {
    tasks: lines.filter(({ run }) => run === undefined),
    runs: lines.flatMap(({ run }) => run ?? []),
  };
}
