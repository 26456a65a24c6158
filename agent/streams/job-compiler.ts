/**
 * The compiler of stream jobs, loaded with the first of them: an agent that has none carries
 * neither expressions nor their regular expressions (some 6 MB resident).
 */
import { assert } from '@runnel/shared/errors.ts';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.ts';
import { readJobs } from './job-record.ts';
import type { CompileJob } from './runnable-job.ts';

export class JobCompiler {
  #compile: CompileJob | undefined;

  /** With one that is given there is nothing to load. */
  constructor(given?: CompileJob) {
    this.#compile = given;
  }

  /** Loaded where the store has a job. */
  static async over(store: CheckpointStore, given?: CompileJob): Promise<JobCompiler> {
    const compiler = new JobCompiler(given);
    if (readJobs(store).length > 0) await compiler.load();
    return compiler;
  }

  /** Before the first job is compiled. */
  async load(): Promise<void> {
    this.#compile ??= (await import('./compile-job.ts')).compileJob;
  }

  /** Throws `DefinitionError`. */
  readonly compile: CompileJob = (job) => {
    assert(this.#compile !== undefined, 'a job is compiled before the compiler is loaded');
    return this.#compile(job);
  };
}
