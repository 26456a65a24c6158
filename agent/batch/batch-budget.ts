/**
 * What the tasks of this device may take together; `batch:` of agent.yaml, bounded by policy.yaml.
 */
import { limits } from '@runnel/shared/limits.ts';

export interface BatchBudget {
  /** Attempts at the same time. */
  readonly tasksMax: number;
  /** Sum of what running tasks state as `cost.memory`. */
  readonly memoryBytes: number;
  /** Sum of what running tasks state as `cost.cpu`, in cores. */
  readonly cpu: number;
  /** Slots by pool. A job that names another than these and `default` is refused. */
  readonly pools: Readonly<Record<string, number>>;
  /** Files below `<data>/batch`. */
  readonly filesBytes: number;
}

export const BATCH_BUDGET: BatchBudget = {
  tasksMax: 4,
  memoryBytes: 256 * 1024 * 1024,
  cpu: 1,
  pools: {},
  filesBytes: limits.batchFilesBytesMax,
};
