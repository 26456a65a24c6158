/** Every kind of task that this agent runs. An explicit list: importing a task registers nothing. */
import type { TaskRunner } from './task.ts';
import { valueTask } from './value.ts';

export const taskRunners: readonly TaskRunner[] = [valueTask];
