/**
 * `runnel-agent dry-run job.yaml --input SOURCE=FILE.jsonl …`: the device's own engine over files.
 *
 * stdout holds only result lines; errors with file and line and a summary of what was dropped go to
 * stderr. Exit codes: 0 done, 1 the input is wrong (what came before it is printed), 2 the job or
 * the command line is wrong.
 */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { type DryRunInput, dryRun } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import type { DeadLetter, JobCounters } from '@runnel/shared/engine/stream-job.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { inert } from '@runnel/shared/terminal-text.ts';
import { errorText, exitCodeOf } from './error-text.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { readEntries } from './input-lines.ts';
import { type LoadedJob, loadStreamJob, parseParameters } from './load-stream-job.ts';

export interface CommandStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

export interface DryRunCommandOptions {
  /** The job's file. */
  readonly job: string;
  /** `SOURCE=FILE`, `-` for standard input. */
  readonly input: readonly string[];
  /** `NAME=VALUE`. */
  readonly param: readonly string[];
  /** Close what is open at the end of input. */
  readonly flush: boolean;
}

export async function dryRunCommand(
  options: DryRunCommandOptions,
  io: CommandStreams,
): Promise<ExitCode> {
  try {
    const job = await loadStreamJob(options.job);
    const program = job.program(parseParameters(options.param));
    const inputs = inputsOf(options.input, job, io);
    const letters = new DeadLetterSummary();
    const outputs = dryRun(program, inputs, {
      state: new MemoryState(),
      flush: options.flush,
      deadLetter: (letter) => letters.add(letter),
    });
    for (;;) {
      const result = await outputs.next();
      if (result.done === true) {
        io.stderr.write(inert(letters.text() + countersText(result.value)));
        return exitCodes.ok;
      }
      const text = result.value.map((output) => `${outputLine(output)}\n`).join('');
      if (!io.stdout.write(inert(text))) await once(io.stdout, 'drain');
    }
  } catch (error) {
    io.stderr.write(errorText(error));
    return exitCodeOf(error);
  }
}

function inputsOf(given: readonly string[], job: LoadedJob, io: CommandStreams): DryRunInput[] {
  const known = Object.keys(job.parsed.job.sources);
  const sources = known.join(', ');
  if (given.length === 0) {
    throw new RunnelError('usage', 'no input is given', {
      hint: `Write --input SOURCE=FILE.jsonl; the sources of the job: ${sources}.`,
    });
  }
  if (given.filter((text) => text.endsWith('=-')).length > 1) {
    throw new RunnelError('usage', 'standard input can be the input of one source only');
  }
  return given.map((text) => {
    const at = text.indexOf('=');
    const source = text.slice(0, Math.max(at, 0));
    const path = text.slice(at + 1);
    if (at < 1 || path === '') {
      throw new RunnelError('usage', `--input ${text} is not SOURCE=FILE`, {
        hint: `The sources of the job: ${sources}.`,
      });
    }
    if (!known.includes(source)) {
      throw new RunnelError('usage', `the job has no source "${source}"`, {
        hint: `The sources of the job: ${sources}.`,
      });
    }
    return { source, chunks: readEntries(path, io.stdin) };
  });
}

/** Dead letters by step and reason, with the first message of each. */
class DeadLetterSummary {
  private readonly found = new Map<string, { count: number; first: DeadLetter }>();

  add(letter: DeadLetter): void {
    const kind = `${letter.step}: ${letter.reason}`;
    const before = this.found.get(kind);
    if (before === undefined) this.found.set(kind, { count: 1, first: letter });
    else before.count += 1;
  }

  text(): string {
    return [...this.found]
      .map(([kind, { count, first }]) => {
        const letters = count === 1 ? 'dead letter' : 'dead letters';
        const example = `first, time ${first.record.time}: ${first.message}`;
        return `${count} ${letters} at ${kind} (${example})\n`;
      })
      .join('');
  }
}

function countersText({ recordsIn, recordsOut, late, dropped }: JobCounters): string {
  const drops = Object.entries(dropped).map(([reason, count]) => `${count} dropped: ${reason}\n`);
  return `${drops.join('')}${recordsIn} records in, ${recordsOut} out, ${late} late\n`;
}
