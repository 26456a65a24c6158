/**
 * Runs that a page lists: what it read, and what came live since. Pure. The order is the server's,
 * newest first; a run that changes keeps its place, one that is new goes first.
 */
import type { RunState } from '@runnel/shared/protocol/runs.ts';
import type { RunItem } from '../../http/run-messages.ts';
import { RUN_STATES } from './run-look.ts';

export interface RunFilter {
  /** Name or id of an agent. */
  readonly agent: string | null;
  readonly state: RunState | null;
}

export const noRunFilter: RunFilter = { agent: null, state: null };

/** `changed` newest first, as the server sends them; those that the filter leaves out go. */
export function mergeRuns(
  known: readonly RunItem[],
  changed: readonly RunItem[],
  filter: RunFilter,
): readonly RunItem[] {
  if (changed.length === 0) return known;
  const newer = new Map(changed.map((item) => [keyOf(item), item]));
  const kept = known.flatMap((item) => {
    const change = newer.get(keyOf(item));
    newer.delete(keyOf(item));
    return change ?? item;
  });
  return [...newer.values(), ...kept].filter((item) => matches(item, filter));
}

/** Runs of an older page behind those that are known; none twice. */
export function appendRuns(
  known: readonly RunItem[],
  older: readonly RunItem[],
): readonly RunItem[] {
  const keys = new Set(known.map(keyOf));
  return [...known, ...older.filter((item) => !keys.has(keyOf(item)))];
}

export function readRunFilter(query: string): RunFilter {
  const params = new URLSearchParams(query);
  const state = params.get('state');
  return {
    agent: params.get('agent'),
    state: RUN_STATES.find((name) => name === state) ?? null,
  };
}

export function writeRunFilter({ agent, state }: RunFilter): string {
  const params = new URLSearchParams({
    ...(agent === null ? {} : { agent }),
    ...(state === null ? {} : { state }),
  });
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function matches(item: RunItem, { agent, state }: RunFilter): boolean {
  if (agent !== null && agent !== item.agent && agent !== item.agentName) return false;
  return state === null || state === item.state;
}

function keyOf({ agent, run }: RunItem): string {
  return `${agent} ${run}`;
}
