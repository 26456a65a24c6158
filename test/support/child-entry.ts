/** The child of the tasks, bundled once per test file, since Node cannot load TypeScript. */
import { bundleTool } from './processes.ts';

let built: string | undefined;

export function childEntry(): string {
  built ??= bundleTool('agent/batch/child/task-child.ts');
  return built;
}
