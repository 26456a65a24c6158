/**
 * Marks of state. Each state has a shape of its own and a word, so that colour is never the only
 * signal. When the page has lost its server a mark is drawn hollow and grey, and its word says
 * that this was so: nothing stale is ever shown as well.
 */
import type { JSX } from 'preact';
import type { HealthState } from '@runnel/shared/health/device-health.ts';
import type { AgentStatus, ConnectionState, Severity } from '../../http/live-messages.ts';
import { useStale } from '../hooks.ts';
import type { Look, Shape, Tone } from './look.ts';

export type { Shape, Tone } from './look.ts';

const PATHS: Readonly<Record<Shape, JSX.Element>> = {
  disc: <circle cx="7" cy="7" r="4" class="mark-fill" />,
  ring: <circle cx="7" cy="7" r="4.2" class="mark-line" />,
  dashed: <circle cx="7" cy="7" r="4.2" class="mark-line mark-dashed" />,
  triangle: (
    <>
      <path d="M7 1.2 13.2 12.4H.8Z" class="mark-fill" />
      <path d="M7 5v3.4M7 10.4v.1" class="mark-cut" />
    </>
  ),
  square: (
    <>
      <rect x="1.2" y="1.2" width="11.6" height="11.6" rx="2" class="mark-fill" />
      <path d="m4.8 4.8 4.4 4.4M9.2 4.8 4.8 9.2" class="mark-cut" />
    </>
  ),
  diamond: (
    <>
      <path d="M7 .8 13.2 7 7 13.2.8 7Z" class="mark-fill" />
      <path d="M7 4.2v3.4M7 9.6v.1" class="mark-cut" />
    </>
  ),
  slash: (
    <>
      <circle cx="7" cy="7" r="4.6" class="mark-line" />
      <path d="m3.8 10.2 6.4-6.4" class="mark-line" />
    </>
  ),
  half: (
    <>
      <circle cx="7" cy="7" r="4.6" class="mark-line" />
      <path d="M7 2.4a4.6 4.6 0 0 1 0 9.2Z" class="mark-fill" />
    </>
  ),
  minus: (
    <>
      <circle cx="7" cy="7" r="4.6" class="mark-line" />
      <path d="M4.8 7h4.4" class="mark-line" />
    </>
  ),
  point: <circle cx="7" cy="7" r="1.4" class="mark-fill" />,
};

const CONNECTION: Readonly<Record<ConnectionState, Look>> = {
  online: { shape: 'disc', tone: 'ok', word: 'Online' },
  late: { shape: 'triangle', tone: 'warning', word: 'Late' },
  offline: { shape: 'square', tone: 'error', word: 'Offline' },
  never: { shape: 'dashed', tone: 'quiet', word: 'Never connected' },
};

const STATUS: Readonly<Record<Exclude<AgentStatus, 'approved'>, Look>> = {
  pending: { shape: 'diamond', tone: 'warning', word: 'Waits for approval' },
  revoked: { shape: 'slash', tone: 'quiet', word: 'Revoked' },
};

const SEVERITY: Readonly<Record<Severity, Look>> = {
  ok: { shape: 'disc', tone: 'ok', word: 'OK' },
  info: { shape: 'ring', tone: 'info', word: 'Note' },
  warning: { shape: 'triangle', tone: 'warning', word: 'Warning' },
  error: { shape: 'square', tone: 'error', word: 'Error' },
};

const UNKNOWN: Look = { shape: 'dashed', tone: 'quiet', word: 'Unknown' };

export function connectionLook(status: AgentStatus, connection: ConnectionState): Look {
  return status === 'approved' ? CONNECTION[connection] : STATUS[status];
}

/** The shape alone; whoever uses it puts the word beside it. */
export function Mark({ shape, tone }: { shape: Shape; tone: Tone }): JSX.Element {
  const stale = useStale();
  const drawn = stale && shape === 'disc' ? 'ring' : shape;
  return (
    <svg
      class={`mark tone-${stale ? 'quiet' : tone}`}
      width="14"
      height="14"
      viewBox="0 0 14 14"
      aria-hidden="true"
    >
      {PATHS[drawn]}
    </svg>
  );
}

export function Worded({ look }: { look: Look }): JSX.Element {
  const stale = useStale();
  return (
    <span class="state">
      <Mark shape={look.shape} tone={look.tone} />
      <span>{stale ? `Was ${look.word.toLowerCase()}` : look.word}</span>
    </span>
  );
}

export function ConnectionState({
  status,
  connection,
}: {
  status: AgentStatus;
  connection: ConnectionState;
}): JSX.Element {
  return <Worded look={connectionLook(status, connection)} />;
}

export function SeverityState({ severity }: { severity: Severity }): JSX.Element {
  return <Worded look={SEVERITY[severity]} />;
}

export function severityLook(severity: Severity): Look {
  return SEVERITY[severity];
}

export function healthLook(state: HealthState): Look {
  return state === 'unknown' ? UNKNOWN : SEVERITY[state];
}

/** Phases of a job: working, on its way, stopped on purpose, broken. */
export function phaseLook(phase: string): { shape: Shape; tone: Tone } {
  switch (phase) {
    case 'running':
      return { shape: 'disc', tone: 'ok' };
    case 'failed':
    case 'refused':
      return { shape: 'square', tone: 'error' };
    case 'backoff':
      return { shape: 'triangle', tone: 'warning' };
    case 'paused':
    case 'stopped':
      return { shape: 'slash', tone: 'quiet' };
    default:
      return { shape: 'ring', tone: 'info' };
  }
}
