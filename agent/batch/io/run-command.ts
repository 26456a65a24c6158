/**
 * A program in a process group of its own, bounded in time, memory and output.
 *
 * When `runCommand` settles, nothing of the group is left: not after an ordinary end (what it left
 * in the background), not after a failure, a timeout or a cancel.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import { endGroup, recordGroup } from './command-group.ts';
import { type CommandGroup, GroupFamily, MARK, searchGroup } from './group-search.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdin: string | undefined;
  readonly memoryBytesMax: number;
  readonly outputBytesMax: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** The last lines of stderr. */
  readonly complaint: string;
}

/** Looks at memory: closer together at the start, when a program takes what it needs. */
const WATCH_MS_MIN = 50;
const WATCH_MS_MAX = 250;
/** Between searches for those that nobody's child leads to. */
const SEARCH_MS = 1000;
/** For the pipes to close when all that we know of is gone; another may still hold them. */
const PIPES_MS = 500;

/** Throws `TaskError`: `process`, `resources`, or the reason of the signal. */
export async function runCommand(command: Command, context: TaskContext): Promise<CommandResult> {
  context.signal.throwIfAborted();
  return new Running(command, context).run();
}

class Running {
  readonly #command: Command;
  readonly #context: TaskContext;
  readonly #child: ChildProcess;
  readonly #mark: string;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #complaint = '';
  /** Why it has to end before its time. */
  #reason: TaskError | null = null;
  #wake: () => void = () => {};
  readonly #stopped: Promise<null>;

  constructor(command: Command, context: TaskContext) {
    this.#command = command;
    this.#context = context;
    this.#stopped = new Promise((resolve) => (this.#wake = () => resolve(null)));
    const { effectKey, tries, attempt, scratchDir } = context;
    // The scratch directory too: agents side by side on one machine run the same partitions.
    const site = createHash('sha256').update(scratchDir).digest('hex').slice(0, 16);
    this.#mark = `${effectKey.slice(0, 32)}.${site}.${tries}.${attempt}`;
    recordGroup(scratchDir, this.#mark, null);
    this.#child = spawn(command.program, [...command.args], {
      cwd: command.cwd,
      detached: true,
      env: {
        ...command.env,
        TMPDIR: scratchDir,
        RUNNEL_EFFECT_KEY: effectKey,
        [MARK]: this.#mark,
      },
      stdio: [command.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
  }

  async run(): Promise<CommandResult> {
    const { signal, scratchDir } = this.#context;
    const exited = this.#exit();
    const closed = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    const { pid } = this.#child;
    if (pid === undefined) throw await exited;
    const group: CommandGroup = { pgid: pid, mark: this.#mark };
    const abort = (): void => this.#stop(taskErrorOf(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    let outcome: number | TaskError | null;
    try {
      recordGroup(scratchDir, this.#mark, pid);
      this.#read();
      if (signal.aborted) abort();
      const stopWatch = this.#watch(group);
      outcome = await Promise.race([exited, this.#stopped]).finally(stopWatch);
    } finally {
      signal.removeEventListener('abort', abort);
      await this.#end(group, closed);
    }
    if (this.#reason !== null) throw this.#reason;
    if (typeof outcome !== 'number') throw outcome;
    return { code: outcome, stdout: Buffer.concat(this.#chunks), complaint: this.#complaint };
  }

  /** Resolves when nothing of the group is left and all that it wrote was read. */
  async #end(group: CommandGroup, closed: Promise<void>): Promise<void> {
    const { clock, log } = this.#context;
    if (!(await endGroup(group, clock))) log.error('a process of the command does not end');
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => (cancel = clock.after(PIPES_MS, resolve)));
    await Promise.race([closed, late]);
    cancel();
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  #stop(reason: TaskError): void {
    this.#reason ??= reason;
    this.#wake();
  }

  /** Resolves with the code, or with what went wrong. */
  #exit(): Promise<number | TaskError> {
    const { program } = this.#command;
    return new Promise((resolve) => {
      this.#child.once('error', (error) => {
        const told = `cannot run ${program}: ${messageOf(error)}`;
        resolve(new TaskError('process', 'command_start', told, { cause: error }));
      });
      this.#child.once('exit', (code, signal) => {
        if (code !== null) resolve(code);
        else {
          const said = this.#complaint.trim();
          const told = `${program} was ended by ${signal}${said === '' ? '' : `: ${said}`}`;
          resolve(new TaskError('process', 'command_signal', told));
        }
      });
    });
  }

  #read(): void {
    const { stdin, stdout, stderr } = this.#child;
    const { log } = this.#context;
    // A program that does not read all of its input is within its rights.
    stdin?.on('error', (error) => log.info(`stdin was not read to its end: ${messageOf(error)}`));
    stdin?.end(this.#command.stdin);
    stdout?.on('data', (chunk: Buffer) => this.#output(chunk));
    const decoder = new StringDecoder('utf8');
    let rest = '';
    const say = (line: string): void => {
      if (line.trim() !== '') log.warn(`stderr: ${line.slice(0, limits.commandLogLineCharsMax)}`);
    };
    stderr?.on('data', (chunk: Buffer) => {
      const text = decoder.write(chunk);
      this.#complaint = (this.#complaint + text).slice(-limits.commandComplaintCharsMax);
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(-limits.commandLogLineCharsMax);
      for (const line of lines) say(line);
    });
    stderr?.once('end', () => say(rest));
  }

  #output(chunk: Buffer): void {
    const { outputBytesMax, program } = this.#command;
    this.#bytes += chunk.length;
    if (this.#bytes <= outputBytesMax) {
      this.#chunks.push(chunk);
      return;
    }
    const told = `${program} wrote more than ${outputBytesMax} bytes`;
    this.#stop(
      new TaskError('resources', 'command_output', told, {
        hint: 'Let it write less, or into a file; or raise outputMax.',
      }),
    );
  }

  /** Over all that it started, also what left its group. */
  #watch(group: CommandGroup): () => void {
    const { clock } = this.#context;
    const family = new GroupFamily();
    if (group.pgid !== null) family.add([group.pgid]);
    let isOver = false;
    let cancelLook = (): void => {};
    let cancelSearch = (): void => {};
    let pauseMs = WATCH_MS_MIN;
    const look = (): void => {
      if (this.#isTooLarge(family.memoryBytes())) return;
      cancelLook = clock.after(pauseMs, look);
      pauseMs = Math.min(pauseMs * 2, WATCH_MS_MAX);
    };
    const search = async (): Promise<void> => {
      const pids = await searchGroup(group);
      if (isOver) return;
      family.add(pids);
      cancelSearch = clock.after(SEARCH_MS, searchAgain);
    };
    const searchAgain = (): void => {
      search().catch((error: unknown) => this.#stop(taskErrorOf(error)));
    };
    look();
    searchAgain();
    return () => {
      isOver = true;
      cancelLook();
      cancelSearch();
    };
  }

  #isTooLarge(bytes: number): boolean {
    const { memoryBytesMax, program } = this.#command;
    if (bytes <= memoryBytesMax) return false;
    const told = `${program} took ${bytes} bytes of memory, more than ${memoryBytesMax}`;
    const hint = 'Let it work on less at a time, or raise memory of the task.';
    this.#stop(new TaskError('resources', 'command_memory', told, { hint }));
    return true;
  }
}
