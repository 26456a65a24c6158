/**
 * Every state in every variant that matters, every event in every variant, and the table of what
 * follows: SPEC.md must show the same.
 */
import { epochMs } from '@runnel/shared/ids.ts';
import {
  type EventKind,
  type StateKind,
  type SyncEvent,
  type SyncState,
  TABLE,
  transition,
  type Trouble,
  TROUBLES,
} from '@runnel/agent/sync/sync-state.ts';

export const NOW = epochMs(1_000_000);
const valid = { issuedAt: 900_000, expiresAt: 1_200_000 };
const over = { issuedAt: 100_000, expiresAt: 400_000 };
const trouble = (kind: Trouble['kind']): Trouble => ({ kind, message: kind });

/** Doubles as the sample for exhaustive tests: with credentials, without, and with expired ones. */
export function stateVariants(kind: StateKind): SyncState[] {
  const commons = [valid, over, null].map((life) => ({ life, revision: 4, told: 4, failures: 0 }));
  return commons.flatMap((common): SyncState[] => {
    switch (kind) {
      case 'idle':
      case 'renewing':
      case 'stopped':
        return [{ ...common, kind }];
      case 'connecting':
        return [true, false].map((fresh) => ({ ...common, kind, fresh }));
      case 'waiting':
        return (['connect', 'renew'] as const).map((next) => {
          return { ...common, kind, next, trouble: trouble('network') };
        });
      case 'settling':
        return [{ ...common, kind, tries: 0, trouble: null }];
      case 'asking':
        return [
          { ...common, kind, tries: 0, asked: 4 },
          { ...common, kind, tries: 99, asked: 4 },
          { ...common, kind, tries: 0, asked: 4, told: 9 },
        ];
      case 'synced':
        return [{ ...common, kind, trouble: null }];
    }
  });
}

export function eventVariants(kind: EventKind): SyncEvent[] {
  const troubles = TROUBLES.map((each) => trouble(each));
  switch (kind) {
    case 'renewed':
      return [{ kind, life: valid }];
    case 'told':
      return [3, 5].map((revision) => ({ kind, revision }));
    case 'desiredAccepted':
      return [{ kind, revision: 5 }];
    case 'connectFailed':
    case 'disconnected':
    case 'renewFailed':
    case 'desiredRefused':
    case 'desiredFailed':
      return troubles.map((each) => ({ kind, trouble: each }));
    case 'start':
    case 'stop':
    case 'retryDue':
    case 'renewDue':
    case 'desiredDue':
    case 'connected':
    case 'desiredSame':
    case 'desiredBehind':
      return [{ kind }];
  }
}

export const STATES = Object.keys(TABLE) as StateKind[];
export const EVENTS = Object.keys(TABLE.idle) as EventKind[];

/** Markdown: rows are events, columns states; `·` stays, else where it can lead. */
export function tableText(): string {
  const head = `| event | ${STATES.join(' | ')} |\n|---|${STATES.map(() => '---|').join('')}\n`;
  const rows = EVENTS.map((event) => {
    const cells = STATES.map((state) => cellText(state, event));
    return `| ${event} | ${cells.join(' | ')} |\n`;
  });
  return head + rows.join('');
}

function cellText(kind: StateKind, event: EventKind): string {
  const next = new Set<string>();
  const does = new Set<string>();
  for (const state of stateVariants(kind)) {
    for (const variant of eventVariants(event)) {
      const step = transition(state, variant, NOW);
      next.add(step.state.kind);
      for (const effect of step.effects) {
        if (effect.do === 'disconnect' || effect.do === 'renewOverNats') does.add(effect.do);
      }
    }
  }
  const where = [...next].toSorted().join(', ');
  const stays = where === kind;
  const extra = does.size === 0 ? '' : ` (${[...does].toSorted().join(', ')})`;
  return `${stays ? '·' : where}${extra}`;
}
