/** Bugs for the crash runs of batch jobs, each behind a seam of the real agent. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeSeams } from '@runnel/agent/agent-parts.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import type { TaskContext, TaskRunner, TaskSuccess } from '@runnel/agent/batch/tasks/task.ts';
import type { CheckpointStore, StoreTx } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { pause } from '../../support/pause.ts';
import { storeAround } from '../../support/store-around.ts';

/** What the log says when the agent is where a kill shows the bug. */
export const GAP = 'a planted gap begins';
/** Long enough for that kill, which comes as soon as the log says so. */
const GAP_MS = 3000;

async function gap(): Promise<void> {
  process.stdout.write(`${GAP}\n`);
  await pause(GAP_MS);
}

type Run = TaskRunner['run'];

/** The real runners, those of `kinds` changed. */
function changed(kinds: readonly string[], change: (run: Run) => Run): RuntimeSeams {
  const runners = taskRunners.map((runner) =>
    kinds.includes(runner.kind)
      ? { kind: runner.kind, run: change((config, context) => runner.run(config, context)) }
      : runner,
  );
  return { batch: { runners } };
}

/** Hides what the task wrote until a while after its success. */
async function placedLater(
  made: TaskSuccess,
  { services: { policy } }: TaskContext,
): Promise<TaskSuccess> {
  const { file } = (made.output ?? {}) as { file?: unknown };
  if (typeof file !== 'string') return made;
  const path = policy.path(file);
  const hidden = join(path, `../.later-${createHash('sha256').update(path).digest('hex')}`);
  renameSync(path, hidden);
  void gap().then(() => renameSync(hidden, path));
  return made;
}

/** Results first, and what says that they were sent a while later. */
function splitCommits(store: CheckpointStore): CheckpointStore {
  return storeAround(store, async (write) => {
    const first: ((tx: StoreTx) => void)[] = [];
    const second: ((tx: StoreTx) => void)[] = [];
    const part = (db: string): typeof first => (db === 'batch' ? second : first);
    let hasResults = false;
    write({
      put(db, key, value) {
        // What was sent last of a partition is noted in the commit of its rows.
        hasResults ||= db === 'batch' && Array.isArray(key) && key[0] === 'results';
        part(db).push((tx) => tx.put(db, key, value));
      },
      remove: (db, key) => part(db).push((tx) => tx.remove(db, key)),
    });
    const all = (list: typeof first) => (tx: StoreTx) => list.forEach((each) => each(tx));
    if (second.length === 0 || !hasResults) return store.commit(all([...first, ...second]));
    await store.commit(all(first));
    await gap();
    return store.commit(all(second));
  });
}

export const plants: Readonly<Record<string, RuntimeSeams>> = {
  /** The task is a success before its file has its name. */
  'success-before-rename': changed(
    ['sql', 'load', 'transform'],
    (run) => async (config, context) => placedLater(await run(config, context), context),
  ),
  /** A receiver takes every attempt for something new. */
  'attempt-in-key': changed(['http', 'load'], (run) => async (config, context) => {
    const made = await run(config, {
      ...context,
      effectKey: createHash('sha256')
        .update(`${context.effectKey} ${context.attempt}`)
        .digest('hex'),
    });
    // Between the effect and its commit.
    await gap();
    return made;
  }),
  /** The cursor moves as soon as rows were read, and not with them. */
  'cursor-before-output': changed(['extract'], (run) => async (config, context) => {
    const file = context.services.policy.path(`work/.cursor-${context.task}`);
    const cursor = existsSync(file)
      ? (JSON.parse(readFileSync(file, 'utf8')) as Json)
      : context.cursor;
    const made = await run(config, { ...context, cursor });
    if (made.cursor === undefined) return made;
    writeFileSync(file, JSON.stringify(made.cursor));
    await gap();
    return made;
  }),
  /** What a run put out is in one commit, that it did so in the next. */
  'commit-split': { wrapStore: splitCommits },
};
