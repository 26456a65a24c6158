/** Every kind of task. An explicit list: importing a task registers nothing. */
import type { TaskSpec } from '../task-definition.ts';
import { valueTask } from './value.ts';

export const tasks: readonly TaskSpec[] = [valueTask];
