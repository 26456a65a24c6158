/**
 * What the settings of a batch task say of the device and the world: hosts, paths, programs and
 * credentials, as far as they stand in the document. What a template makes of them is judged when
 * the task runs (task-policy.ts); this is so that a person hears of it when the job comes.
 */
import type { TaskDefinition } from '../definitions/batch-job.ts';
import type { Json } from '../engine/record.ts';
import type { PolicyCheck } from './check-policy.ts';

/** Data of the job's own, in which names mean nothing to us. */
const DATA = new Set(['body', 'headers', 'params', 'query', 'rows', 'stdin', 'value']);
const PATHS = new Set(['ca', 'cert', 'csv', 'cwd', 'jsonl', 'parquet', 'path', 'to']);

export function checkTask(check: PolicyCheck, where: string, task: TaskDefinition): void {
  const { config, kind } = task;
  if (kind === 'none' || kind === 'value') return;
  if (kind === 'command') {
    const run = listIn(config, 'run').map((part) => (isStatic(part) ? part : undefined));
    if (run[0] !== undefined) check.command(`${where}.run`, run);
    for (const name of namesIn(config, 'env')) check.variable(`${where}.env.${name}`, name);
  }
  walk(check, where, config);
}

function walk(check: PolicyCheck, where: string, value: Json): void {
  if (typeof value !== 'object' || value === null) return;
  if (isCredential(value)) {
    if ('env' in value && isStatic(value.env)) check.env(where, value.env);
    if ('file' in value && isStatic(value.file)) check.path(where, value.file);
    return;
  }
  for (const [name, part] of Object.entries(value)) {
    const at = `${where}.${name}`;
    if (DATA.has(name) && !isCredential(part)) continue;
    if (name === 'url' && isStatic(part) && URL.canParse(part)) {
      check.host(at, new URL(part).hostname);
    } else if (PATHS.has(name) && isStatic(part)) {
      check.path(at, part.replace(/[^/]*[*?[].*$/, '') || '.');
    } else {
      walk(check, at, part);
    }
  }
}

/** `{ env: NAME }` or `{ file: PATH }` and nothing else. */
function isCredential(value: Json | undefined): value is { env: string } | { file: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const [[name, text] = [], second] = Object.entries(value);
  return second === undefined && (name === 'env' || name === 'file') && typeof text === 'string';
}

function isStatic(value: Json | undefined): value is string {
  return typeof value === 'string' && !value.includes('{{');
}

function namesIn(config: Json, name: string): readonly string[] {
  const found = (config as Readonly<Record<string, Json>> | null)?.[name];
  return typeof found === 'object' && found !== null ? Object.keys(found) : [];
}

function listIn(config: Json, name: string): readonly Json[] {
  const found = (config as Readonly<Record<string, Json>> | null)?.[name];
  return Array.isArray(found) ? (found as readonly Json[]) : [];
}
