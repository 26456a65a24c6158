/**
 * Memory that a kind of task bounds for a process of its own, told from its settings as they stand
 * in the document: what is admitted counts at least that, whatever `cost` says.
 */
import type { Json } from '../engine/record.ts';
import { sizeOf } from './size.ts';
import type { TaskSpec } from './task-definition.ts';

type Settings = Readonly<Record<string, Json>>;

/** Bytes; 0 for a kind that has no process of its own. `config` before or after rendering. */
export function taskMemoryBytes(spec: TaskSpec | undefined, config: unknown): number {
  if (typeof config !== 'object' || config === null) return 0;
  return spec?.memory?.(config as Settings) ?? 0;
}

/** A setting that may be left out, or be a template: then it is judged when it is rendered. */
export function memorySetting(value: Json | undefined, byDefault: number): number {
  if (typeof value === 'number') return value;
  return (typeof value === 'string' ? sizeOf(value) : undefined) ?? byDefault;
}
