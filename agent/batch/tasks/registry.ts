/** Every kind of task that this agent runs. An explicit list: importing a task registers nothing. */
import { sqlTask } from './sql.ts';
import type { TaskRunner } from './task.ts';
import { transformTask } from './transform.ts';
import { valueTask } from './value.ts';

export const taskRunners: readonly TaskRunner[] = [valueTask, sqlTask, transformTask];
