/** Runs as the API and the page show them, from what is stored of them. */
import type { TaskState } from '@runnel/shared/protocol/runs.ts';
import type { Kysely } from 'kysely';
import {
  type RunKey,
  type RunRecord,
  taskInstances,
  type TaskStateCount,
  taskStates,
} from '../store/runs.ts';
import type { Schema } from '../store/schema.ts';
import type { FleetView } from './fleet-view.ts';
import type { RunDetail, RunItem, RunTaskItem, TaskInstanceItem } from './run-messages.ts';

/** Instances in one answer; a run with more says that it is truncated. */
const INSTANCES_MAX = 10_000;

export interface RunViewParts {
  readonly db: Kysely<Schema>;
  readonly fleet: Pick<FleetView, 'find'>;
}

/** In the order of `records`. */
export async function runItems(
  parts: RunViewParts,
  records: readonly RunRecord[],
): Promise<RunItem[]> {
  const counts = await taskStates(parts.db, records);
  const states = statesByTask(counts);
  const instances = instancesByTask(counts);
  return records.map((record) => ({
    ...runFields(parts, record),
    tasks: record.tasks.map(({ id, kind }) => ({
      id,
      kind,
      state: states.get(taskKey(record, id)) ?? null,
      instances: instances.get(taskKey(record, id)) ?? null,
    })),
  }));
}

export async function runDetail(parts: RunViewParts, record: RunRecord): Promise<RunDetail> {
  const counts = await taskStates(parts.db, [record]);
  const states = statesByTask(counts);
  const instances = instancesByTask(counts);
  const found = await taskInstances(parts.db, record, INSTANCES_MAX + 1);
  return {
    ...runFields(parts, record),
    tasks: record.tasks.map((task) => ({
      ...task,
      state: states.get(taskKey(record, task.id)) ?? null,
      instances: instances.get(taskKey(record, task.id)) ?? null,
    })),
    parameters: record.parameters,
    origins: record.origins,
    instances: inOrder(record, found.slice(0, INSTANCES_MAX)),
    truncated: found.length > INSTANCES_MAX,
  };
}

function runFields({ fleet }: RunViewParts, record: RunRecord): Omit<RunItem, 'tasks'> {
  const { run, agent, job, version, key, partition, partitionStart, partitionEnd } = record;
  const { trigger, state, at, queuedAt, startedAt, endedAt, tries, error, affected } = record;
  return {
    ...{ run, agent, agentName: fleet.find(agent)?.name ?? agent, job, version, key },
    ...{ partition, partitionStart, partitionEnd, trigger, state, at },
    ...{ queuedAt, startedAt, endedAt, tries, error, affected, receivedAt: record.receivedAt },
    cancelling: record.cancelling === true,
  };
}

const taskKey = ({ agent, run }: RunKey, task: string): string =>
  JSON.stringify([agent, run, task]);

/** The state of a task of which only instances were reported is the first of these that is met. */
const STRONGEST: readonly TaskState[] = [
  'failed',
  'upstream_failed',
  'running',
  'ready',
  'waiting',
  'cancelled',
  'success',
  'skipped',
];

function statesByTask(counts: readonly TaskStateCount[]): Map<string, TaskState> {
  const whole = new Set<string>();
  const states = new Map<string, TaskState>();
  for (const count of counts) {
    const key = taskKey(count, count.task);
    if (count.whole) {
      whole.add(key);
      states.set(key, count.state);
      continue;
    }
    const other = states.get(key);
    if (whole.has(key)) continue;
    if (other === undefined || STRONGEST.indexOf(count.state) < STRONGEST.indexOf(other)) {
      states.set(key, count.state);
    }
  }
  return states;
}

function instancesByTask(
  counts: readonly TaskStateCount[],
): Map<string, NonNullable<RunTaskItem['instances']>> {
  const found = new Map<string, NonNullable<RunTaskItem['instances']>>();
  for (const count of counts) {
    if (count.instances === 0) continue;
    const key = taskKey(count, count.task);
    const { succeeded, reported } = found.get(key) ?? { succeeded: 0, reported: 0 };
    found.set(key, {
      succeeded: succeeded + (count.state === 'success' ? count.instances : 0),
      reported: reported + count.instances,
    });
  }
  return found;
}

function inOrder(
  { tasks }: RunRecord,
  instances: readonly (TaskInstanceItem & RunKey)[],
): TaskInstanceItem[] {
  const place = new Map(tasks.map(({ id }, index) => [id, index]));
  return instances
    .toSorted(
      (a, b) =>
        (place.get(a.task) ?? Infinity) - (place.get(b.task) ?? Infinity) ||
        (a.index ?? -1) - (b.index ?? -1),
    )
    .map(({ agent: _agent, run: _run, ...item }) => item);
}
