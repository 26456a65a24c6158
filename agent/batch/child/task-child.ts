/**
 * Entry of the process in which DuckDB and SQLite work: a crash, a leak or a query that takes all
 * memory ends this process, never the agent (children.ts). It does one request and ends.
 *
 * It ends itself, with its whole group, as soon as the agent is gone; under memory pressure the
 * kernel takes it before the agent; and it yields the processor to the agent.
 */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { messageOf } from '@runnel/shared/errors.ts';
import { taskErrorOf } from '../tasks/task-error.ts';
import type { ChildWork, FromChild, ToChild } from './child-messages.ts';

/** By `ChildRequest.kind`; loaded when asked for, since each brings a native library. */
const KINDS: Readonly<Record<string, () => Promise<ChildWork>>> = {
  parquet: async () => (await import('./run-parquet.ts')).runParquet,
  sql: async () => (await import('./run-sql.ts')).runSql,
  sqlite: async () => (await import('./run-sqlite.ts')).runSqlite,
};

const OOM_SCORE = '900';
const NICENESS = 5;

let answered: ((value: unknown) => void) | null = null;

function send(message: FromChild): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error: Error | null) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function ask(question: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    answered = resolve;
    send({ type: 'ask', question }).catch(reject);
  });
}

async function work(request: Extract<ToChild, { type: 'request' }>): Promise<FromChild> {
  try {
    const load = KINDS[request.kind];
    if (load === undefined) throw new Error(`no kind of work ${request.kind}`);
    const run = await load();
    const { memoryBytesMax } = request;
    return { type: 'done', value: await run(request.body as never, { memoryBytesMax, ask }) };
  } catch (error) {
    const known = taskErrorOf(error);
    const { code, message, hint } = known;
    return { type: 'failed', class: known.class, code, message, hint: hint ?? null };
  }
}

async function main(request: Extract<ToChild, { type: 'request' }>): Promise<void> {
  await send(await work(request));
  // What a library still holds must not keep the process.
  process.exit(0);
}

function endWithGroup(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  }
}

function yieldToTheAgent(): void {
  setPriority(NICENESS);
  if (process.platform === 'linux') writeFileSync('/proc/self/oom_score_adj', OOM_SCORE);
}

process.once('disconnect', endWithGroup);
process.on('message', (message: ToChild) => {
  if (message.type === 'answer') answered?.(message.value);
  else void main(message);
});
yieldToTheAgent();
