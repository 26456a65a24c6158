/**
 * What can be known at submit about the tasks of a batch job: their expressions and templates,
 * their settings with sample values, and whether what they read comes before them.
 */
import type { DefinitionIssue } from '../errors.ts';
import type { BatchJob, PartitionDefinition, TaskDefinition } from './batch-job.ts';
import { dependentsOf } from './compile-batch-job.ts';
import { sampleParameters, unsetParameters } from './parameters.ts';
import { sampleScope } from './sample-scope.ts';
import { suggestion } from '../expressions/suggest.ts';
import { issueAt } from './strict.ts';
import { TaskCompiler } from './task-compiler.ts';
import { checkTaskConfig, NO_FACTS, type TaskFacts } from './task-config.ts';
import { TaskGraph } from './task-graph.ts';
import { tasks as taskSpecs } from './tasks/registry.ts';

interface JobParts {
  readonly name: string;
  readonly parameters: BatchJob['parameters'];
  readonly partition: PartitionDefinition | null;
  readonly tasks: readonly TaskDefinition[];
  readonly graph: TaskGraph;
}

/** The facts of each task, in their order. */
export function checkTasks(job: JobParts, issues: DefinitionIssue[]): readonly TaskFacts[] {
  const { tasks, graph } = job;
  const parameters = sampleParameters(job.parameters);
  const unset = unsetParameters(job.parameters);
  const scope = sampleScope(job.name, job.partition);
  const taskIds = tasks.map(({ id }) => id);
  const dependents = dependentsOf(tasks);
  return tasks.map((task) => {
    const spec = taskSpecs.find(({ kind }) => kind === task.kind);
    const behind = (dependents.get(task.id) ?? []).map((index) => taskIds[index] ?? '');
    const site = { parameters, unset, graph, taskIds, dependents: behind };
    const compiler = new TaskCompiler(task, spec, site, issues);
    compiler.when();
    compiler.branch();
    compiler.forEach();
    const settings = compiler.settings();
    if (spec === undefined || settings === undefined) return NO_FACTS;
    const path = [...task.path, spec.kind];
    const facts = checkTaskConfig(spec, settings, { scope, parameters, path }, issues);
    for (const read of facts.reads) {
      if (graph.isBefore(read, task.id)) continue;
      const isKnown = taskIds.includes(read);
      const message = isKnown
        ? `reads "${read}", which is not done before it`
        : `reads "${read}", and no task is named so`;
      const hint = isKnown ? `add it: needs: [${read}]` : suggestion(read, taskIds);
      issues.push(issueAt(path, message, hint));
    }
    return facts;
  });
}

/**
 * The facts of a job that passed: what it reads and makes, and what a device must be able to do.
 */
export function batchFacts(job: BatchJob): TaskFacts {
  const facts = checkTasks({ ...job, graph: new TaskGraph(job.tasks) }, []);
  const all = (of: keyof TaskFacts): readonly string[] =>
    [...new Set(facts.flatMap((each) => each[of]))].toSorted();
  const kinds = job.tasks.flatMap(({ kind }) => (kind === 'none' ? [] : [`task:${kind}`]));
  return {
    requires: [...new Set(['batch', ...kinds, ...all('requires')])].toSorted(),
    reads: all('reads'),
    journals: all('journals'),
    datasets: all('datasets'),
  };
}
