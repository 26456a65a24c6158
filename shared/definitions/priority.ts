/** The priority of a job or task, and what it means. */
import { z } from 'zod';

export const priorityField = z.number().int().min(-1000).max(1000).default(0);

/** What the priority of a job means for what it sends. */
export const ROW_PRIORITY =
  'above 0 its rows go to the control plane before those of other jobs, below 0 after them, and ' +
  'where too much waits rows of the least urgent jobs are dropped first.';
