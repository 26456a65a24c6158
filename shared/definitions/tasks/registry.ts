/** Every kind of task. An explicit list: importing a task registers nothing. */
import type { TaskSpec } from '../task-definition.ts';
import { archiveTask } from './archive.ts';
import { changesTask } from './changes.ts';
import { commandTask } from './command.ts';
import { compactTask } from './compact.ts';
import { extractTask } from './extract.ts';
import { httpTask } from './http.ts';
import { loadTask } from './load.ts';
import { publishTask } from './publish.ts';
import { purgeTask } from './purge.ts';
import { qualityTask } from './quality.ts';
import { reindexTask } from './reindex.ts';
import { rollupTask } from './rollup.ts';
import { sqlTask } from './sql.ts';
import { transformTask } from './transform.ts';
import { valueTask } from './value.ts';

export const tasks: readonly TaskSpec[] = [
  valueTask,
  extractTask,
  loadTask,
  httpTask,
  commandTask,
  publishTask,
  sqlTask,
  transformTask,
  changesTask,
  qualityTask,
  rollupTask,
  archiveTask,
  purgeTask,
  compactTask,
  reindexTask,
];
