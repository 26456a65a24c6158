/**
 * Runs work that must not harm the agent in processes of their own: one per request, each the
 * leader of its own process group, watched, and gone when `run` settles.
 *
 * Guarantees: the child gets no environment of the agent but PATH, language and zone; beyond its
 * memory, at the abort of the signal, or when the agent dies, its whole group is killed. However
 * it ends, the attempt gets an answer or a `TaskError` that says why.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { ChildRequest, Children } from '../tasks/task-services.ts';
import type { FromChild, ToChild } from './child-messages.ts';
import { processMemoryBytes, signalGroup } from './process-group.ts';

/** How often a child's memory is looked at. */
const WATCH_MS = 100;
/** After its last word it has this long to end. */
const LINGER_MS = 2000;
const MIB = 1024 * 1024;
/** Of the child's memory, what its JavaScript may take. */
const HEAP_SHARE = 0.6;
const HEAP_MIB_MIN = 48;
const ENVIRONMENT = /^(PATH|LANG|LC_[A-Z]+|TZ)$/;

export interface ChildrenOptions {
  /** Path of the built task-child.js; run with this Node. */
  readonly entry: string;
  readonly clock: Clock;
}

export class TaskChildren implements Children {
  readonly #options: ChildrenOptions;

  constructor(options: ChildrenOptions) {
    this.#options = options;
  }

  async run(context: TaskContext, request: ChildRequest): Promise<unknown> {
    context.signal.throwIfAborted();
    const child = new Child(this.#options, context, request);
    return child.run();
  }
}

class Child {
  readonly #clock: Clock;
  readonly #context: TaskContext;
  readonly #request: ChildRequest;
  readonly #process: ChildProcess;
  readonly #ended: Promise<string>;
  #stderr = '';
  #result: FromChild | undefined;
  /** Why we ended it ourselves. */
  #reason: unknown;
  #stopWatch: () => void = () => {};
  #stopLinger: () => void = () => {};

  constructor(options: ChildrenOptions, context: TaskContext, request: ChildRequest) {
    this.#clock = options.clock;
    this.#context = context;
    this.#request = request;
    const heapMiB = Math.max(HEAP_MIB_MIN, (request.memoryBytesMax * HEAP_SHARE) / MIB);
    const heap = `--max-old-space-size=${Math.floor(heapMiB)}`;
    this.#process = spawn(process.execPath, [heap, options.entry], {
      cwd: context.scratchDir,
      detached: true,
      env: environment(context.scratchDir),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#ended = this.#listen();
  }

  async run(): Promise<unknown> {
    const { signal } = this.#context;
    const abort = (): void => this.#end(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const { kind, body, memoryBytesMax } = this.#request;
      this.#send({ type: 'request', kind, body, memoryBytesMax });
      this.#watch();
      const how = await this.#ended;
      return this.#outcome(how);
    } finally {
      this.#stopWatch();
      this.#stopLinger();
      signal.removeEventListener('abort', abort);
    }
  }

  /** Resolves with how it ended, when the process and its pipes are gone. */
  #listen(): Promise<string> {
    const child = this.#process;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(
        -limits.commandComplaintCharsMax,
      );
    });
    child.on('message', (message: FromChild) => this.#message(message));
    return new Promise((resolve) => {
      child.once('error', (error) => {
        this.#reason ??= new TaskError('resources', 'child_start', messageOf(error));
        // Without a process there is no other event.
        if (child.pid === undefined) resolve('it could not be started');
        else this.#kill();
      });
      child.once('close', (code, signal) => {
        // Whatever it has started must not outlive it.
        this.#kill();
        resolve(signal === null ? `ended with code ${code}` : `was ended by ${signal}`);
      });
    });
  }

  #message(message: FromChild): void {
    if (message.type !== 'ask') {
      this.#result = message;
      // A library may hang while it unloads; what it was for is done.
      this.#stopLinger = this.#clock.after(LINGER_MS, () => this.#kill());
      return;
    }
    const { answer } = this.#request;
    if (answer === undefined) {
      this.#end(new TaskError('other', 'child_question', 'nobody answers what the child asks'));
      return;
    }
    answer(message.question).then(
      (value) => this.#send({ type: 'answer', value }),
      (error: unknown) => this.#end(error),
    );
  }

  #send(message: ToChild): void {
    // A child that is gone says so by its end, which is awaited.
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  #watch(): void {
    const { pid } = this.#process;
    const { memoryBytesMax } = this.#request;
    const look = (): void => {
      const bytes = pid === undefined ? undefined : processMemoryBytes(pid);
      if (bytes !== undefined && bytes > memoryBytesMax) {
        this.#end(
          new TaskError(
            'resources',
            'child_memory',
            `it took ${inMiB(bytes)} of memory, more than ${inMiB(memoryBytesMax)}`,
            { hint: 'Raise memory of the task, or let it work on less at a time.' },
          ),
        );
        return;
      }
      this.#stopWatch = this.#clock.after(WATCH_MS, look);
    };
    look();
  }

  #end(reason: unknown): void {
    this.#reason ??= reason;
    this.#kill();
  }

  #kill(): void {
    const { pid } = this.#process;
    if (pid !== undefined) signalGroup(pid, 'SIGKILL');
  }

  #outcome(how: string): unknown {
    if (this.#reason !== undefined) throw asError(this.#reason);
    const result = this.#result;
    if (result?.type === 'done') return result.value;
    if (result?.type === 'failed') {
      const hint = result.hint === null ? {} : { hint: result.hint };
      throw new TaskError(result.class, result.code, result.message, hint);
    }
    const tail = this.#stderr.trim();
    if (/heap out of memory|Cannot allocate memory|bad_alloc/i.test(tail)) {
      const bound = inMiB(this.#request.memoryBytesMax);
      throw new TaskError('resources', 'child_memory', `it ran out of its ${bound} of memory`, {
        hint: 'Raise memory of the task, or let it work on less at a time.',
      });
    }
    const last = tail === '' ? '' : `: ${tail.split('\n').slice(-5).join(' | ')}`;
    throw new TaskError('process', 'child_died', `the process of the task ${how}${last}`, {
      hint: 'A SIGKILL that nobody sent is the kernel, short of memory.',
    });
  }
}

/** Nothing of the agent's own environment, which may hold secrets. */
function environment(scratchDir: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name));
  return { ...Object.fromEntries(kept), TMPDIR: scratchDir };
}

function inMiB(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(messageOf(reason));
}
