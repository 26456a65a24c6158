/** Every kind of task that this agent runs. A list: importing a task registers nothing. */
import { archiveTask } from './archive.ts';
import { changesTask } from './changes.ts';
import { commandTask } from './command.ts';
import { extractTask } from './extract.ts';
import { httpTask } from './http.ts';
import { loadTask } from './load.ts';
import { publishTask } from './publish.ts';
import { sqlTask } from './sql.ts';
import type { TaskRunner } from './task.ts';
import { transformTask } from './transform.ts';
import { qualityTask } from './quality.ts';
import { reindexTask } from './reindex.ts';
import { rollupTask } from './rollup.ts';
import { purgeTask } from './purge.ts';
import { compactTask } from './compact.ts';
import { valueTask } from './value.ts';

export const taskRunners: readonly TaskRunner[] = [
  valueTask,
  sqlTask,
  archiveTask,
  transformTask,
  changesTask,
  extractTask,
  loadTask,
  httpTask,
  commandTask,
  publishTask,
  qualityTask,
  rollupTask,
  purgeTask,
  compactTask,
  reindexTask,
];
