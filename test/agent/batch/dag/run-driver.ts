/** Drives a run by events as a runtime would, by the ids of tasks, and checks what comes out. */
import { expect } from 'vitest';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { RunState, TaskState } from '@runnel/shared/protocol/runs.ts';
import type { TaskRecord } from '@runnel/agent/batch/records.ts';
import { nextWakeMs, readyInstances } from '@runnel/agent/batch/dag/ready-instances.ts';
import { type RunEvent, type RunStep, transition } from '@runnel/agent/batch/dag/run-machine.ts';
import {
  headOf,
  newRun,
  type RunSnapshot,
  snapshotOf,
} from '@runnel/agent/batch/dag/run-snapshot.ts';
import { AGENT, NOW, runOf } from './program-of.ts';

export class RunDriver {
  readonly program: BatchProgram;
  now = NOW;
  state: RunSnapshot;
  ended: RunState[] = [];
  /** `id` or `id[index]` of what was aborted, in order. */
  aborted: string[] = [];
  /** What a store would hold: records by `task/index`. */
  readonly stored = new Map<string, TaskRecord>();

  readonly #isChecked: boolean;

  /** Without `isChecked` what is stored is compared to the state only where a crash needs it. */
  constructor(program: BatchProgram, { isChecked = true }: { readonly isChecked?: boolean } = {}) {
    this.program = program;
    this.#isChecked = isChecked;
    this.state = newRun(program, runOf());
  }

  static started(program: BatchProgram): RunDriver {
    const run = new RunDriver(program);
    run.send({ kind: 'start' });
    return run;
  }

  send(event: RunEvent): RunStep {
    const step = transition(this.program, this.state, event, this.now, AGENT);
    this.state = step.state;
    for (const { task, index } of step.removed) this.stored.delete(`${task}/${index}`);
    for (const record of step.changed) this.stored.set(`${record.task}/${record.index}`, record);
    for (const effect of step.effects) {
      if (effect.kind === 'ended') this.ended.push(effect.state);
      else this.aborted.push(nameOf(this.idOf(effect.task), effect.index));
    }
    if (this.#isChecked) this.#checkStored();
    return step;
  }

  /** `id` or `id[index]`: the instance starts. */
  begin(...names: readonly string[]): this {
    for (const name of names) this.send({ kind: 'attemptStarted', ...this.refOf(name) });
    return this;
  }

  succeed(name: string, output: Json = null): this {
    this.send({ kind: 'attemptSucceeded', ...this.refOf(name), output, table: null });
    return this;
  }

  fail(name: string, errorClass = 'other', retryAfterMs?: number): this {
    const error = { code: 'broken', class: errorClass, message: 'it broke' };
    this.send({ kind: 'attemptFailed', ...this.refOf(name), error, retryAfterMs });
    return this;
  }

  /** Begins it and ends it at once. */
  run(name: string, output: Json = null): this {
    return this.begin(name).succeed(name, output);
  }

  breakDown(name: string, errorClass = 'other'): this {
    return this.begin(name).fail(name, errorClass);
  }

  /** The process died: what was stored is all there is. */
  crash(): this {
    this.#checkStored();
    this.state = snapshotOf(this.program, this.state.run, this.stored.values());
    this.send({ kind: 'resumed' });
    return this;
  }

  get ready(): string[] {
    return readyInstances(this.program, this.state, this.now).map(({ task, index }) =>
      nameOf(this.idOf(task), index),
    );
  }

  get wake(): number | null {
    return nextWakeMs(this.program, this.state, this.now);
  }

  get states(): Record<string, TaskState> {
    return Object.fromEntries(
      this.state.tasks.map((group) => [headOf(group).task, headOf(group).state]),
    );
  }

  record(name: string): TaskRecord {
    const { task, index } = this.refOf(name);
    const record = this.state.tasks[task]?.[index === null ? 0 : index + 1];
    if (record === undefined) throw new Error(`no ${name}`);
    return record;
  }

  refOf(name: string): { readonly task: number; readonly index: number | null } {
    const [, id, index] = /^([^[]+)(?:\[(\d+)\])?$/.exec(name) ?? [];
    const task = this.program.tasks.findIndex(({ definition }) => definition.id === id);
    if (task < 0) throw new Error(`no task ${name}`);
    return { task, index: index === undefined ? null : Number(index) };
  }

  idOf(task: number): string {
    return this.program.tasks[task]?.definition.id ?? '';
  }

  /** What was told as changed is all that changed. */
  #checkStored(): void {
    const again = snapshotOf(this.program, this.state.run, this.stored.values());
    expect(again.tasks).toEqual(this.state.tasks);
  }
}

function nameOf(id: string, index: number | null): string {
  return index === null ? id : `${id}[${index}]`;
}
