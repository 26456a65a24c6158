/**
 * What every kind of task owes the runner of attempts (agent/batch/tasks/task.ts).
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { expect, it } from 'vitest';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { tasks as taskSpecs } from '@runnel/shared/definitions/tasks/registry.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import { TaskChildren } from '@runnel/agent/batch/child/children.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { ContextOptions, TaskSite } from '../support/task-context.ts';
import { taskSite } from '../support/task-context.ts';
import { describeWith } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

export interface TaskSetup {
  readonly program: BatchProgram;
  readonly task: string;
  readonly options?: ContextOptions;
  /**
   * What the world outside of our store holds of it, asked before the first attempt too: another
   * after one, the same after two. Null: all that it does is what it gives back.
   */
  readonly effects: (() => unknown) | null;
  /** Of an endless one: whether it is in the middle of its work. */
  readonly started?: () => unknown;
}

/** An endless one has no effect to look at. */
type EndlessSetup = Omit<TaskSetup, 'effects'>;

export interface TaskCase {
  readonly kind: string;
  readonly programs?: readonly string[];
  readonly setup: (site: TaskSite) => Promise<TaskSetup>;
  /** An attempt that goes on until it is told to end; absent where none can. */
  readonly endless?: (site: TaskSite) => Promise<EndlessSetup>;
  /** Whether it works in a child process. */
  readonly child?: boolean;
}

/** An attempt that was told to end has this long. */
const ABORT_MS_MAX = 5000;

export function taskContract({ kind, programs = [], setup, endless, child }: TaskCase): void {
  const spec = taskSpecs.find((each) => each.kind === kind);
  describeWith(programs, `the task contract: ${kind}`, () => {
    it('parses its documented examples', () => {
      expect(spec?.examples.length).toBeGreaterThan(0);
      for (const { yaml } of spec?.examples ?? []) {
        expect(() => taskSite().program(exampleJob(yaml)), yaml).not.toThrow();
      }
    });

    it('describes every field', () => {
      for (const [name, field] of Object.entries(spec?.fields ?? {})) {
        expect(field.description, name).toBeTruthy();
      }
    });

    it('refuses a key that it does not know', () => {
      const [example] = spec?.examples ?? [];
      const job = exampleJob(example?.yaml ?? '');
      const task = job.tasks.at(-1) as Record<string, Record<string, unknown>>;
      const config = { ...task[kind], nonsense: 1 };
      const broken = { ...job, tasks: [...job.tasks.slice(0, -1), { ...task, [kind]: config }] };
      expect(() => taskSite().program(broken)).toThrow(DefinitionError);
      expect(() => taskSite().program(broken)).toThrow(/unknown key "nonsense"/);
    });

    it('gives the same when it is made twice, and has its effect once', async () => {
      const site = taskSite();
      await expectOneEffect(site, await setup(site));
    });

    it('begins nothing when it was told to end before', async () => {
      const site = taskSite();
      await expectNothingBegun(site, await setup(site));
    });

    if (endless !== undefined) {
      it('ends soon when it is told to, and leaves nothing behind', async () => {
        const site = taskSite();
        const { program, task, options, started } = await endless(site);
        const control = new AbortController();
        const running = site.attempt(program, task, { ...options, signal: control.signal });
        const ended = running.then(
          () => 'success',
          (error: unknown) => String(error),
        );
        await waitFor('its work', () =>
          started === undefined ? left(site).length > 0 : started(),
        );
        control.abort(new TaskError('timeout', 'task_timeout', 'it took too long'));
        let outcome: string | undefined;
        void ended.then((text) => (outcome = text));
        expect(await waitFor('its end', () => outcome, ABORT_MS_MAX)).toContain('too long');
        expect(left(site)).toEqual([]);
      });
    }

    if (child === true) {
      it('fails with a class when its process dies', async () => {
        const site = taskSite();
        const { program, task, options } = await setup(site);
        const entry = join(site.dataDir, 'dying.mjs');
        writeFileSync(entry, "process.once('message', () => process.abort());\n");
        const dying = new TaskChildren({ entry, clock: systemClock });
        const error = await site.failure(program, task, {
          ...options,
          services: { ...options?.services, children: dying },
        });
        expect(error.class).toBe('process');
        expect(left(site)).toEqual([]);
      });
    }
  });
}

/** Two attempts, as after a crash between an effect and its commit. */
export async function expectOneEffect(site: TaskSite, setup: TaskSetup): Promise<void> {
  const { program, task, options, effects } = setup;
  const before = await effects?.();
  const first = await site.attempt(program, task, options);
  const rows = await site.rows(first.success.table);
  const after = await effects?.();
  if (effects !== null) expect(after, 'it has an effect').not.toEqual(before);
  const second = await site.attempt(program, task, { ...options, attempt: 2 });
  expect(withoutPaths(second.success)).toEqual(withoutPaths(first.success));
  expect(await site.rows(second.success.table)).toEqual(rows);
  expect(await effects?.()).toEqual(after);
}

/** An attempt that was told to end before it began. */
export async function expectNothingBegun(site: TaskSite, setup: TaskSetup): Promise<void> {
  const { program, task, options, effects } = setup;
  const before = await effects?.();
  const reason = new TaskError('interrupted', 'interrupted', 'the agent stops');
  const signal = AbortSignal.abort(reason);
  const outcome = await site.attempt(program, task, { ...options, signal }).catch(String);
  // What only computes may just be quick: nothing of it counts before it is committed.
  if (typeof outcome === 'string') expect(outcome).toContain('the agent stops');
  else expect(effects, 'what has effects fails').toBeNull();
  expect(await effects?.()).toEqual(before);
  expect(left(site)).toEqual([]);
}

/** Directories of attempts that are still there. */
function left(site: TaskSite): string[] {
  const scratch = join(site.dataDir, 'batch', 'scratch');
  return existsSync(scratch) ? readdirSync(scratch) : [];
}

/** The tasks of an example, with a task for each that they need and that is not among them. */
function exampleJob(yaml: string): { tasks: Record<string, unknown>[] } {
  const tasks = parse(yaml) as Record<string, unknown>[];
  const ids = new Set(tasks.map(({ id }) => id));
  const needed = new Set(tasks.flatMap(({ needs }) => (needs === undefined ? [] : needs)));
  const missing = [...needed].filter((id) => !ids.has(id));
  return { tasks: [...missing.map((id) => ({ id, value: { value: 1 } })), ...tasks] };
}

/** Files of two attempts have different names. */
function withoutPaths(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, each: unknown) =>
      key === 'path' && typeof each === 'string' && each.startsWith('tables/') ? '' : each,
    ),
  );
}
