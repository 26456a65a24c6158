/**
 * How the state of the link shows as conditions. Being disconnected is normal (I4), so it is only
 * `info`; what a person must act on is a warning or an error.
 */
import type { Conditions } from '../resources/conditions.ts';
import type { SyncState, Trouble } from './sync-state.ts';

const CONNECTION = 'connection';
const DESIRED = 'desired';

const BY_TROUBLE = {
  network: { severity: 'info', reason: 'Disconnected' },
  expired: { severity: 'info', reason: 'Renewing' },
  refused: { severity: 'warning', reason: 'CredentialsRefused' },
  pending: { severity: 'warning', reason: 'ApprovalPending' },
  revoked: { severity: 'error', reason: 'Revoked' },
  server: { severity: 'warning', reason: 'ServerError' },
  document: { severity: 'error', reason: 'DesiredRefused' },
} as const;

/** Sets or clears the conditions `connection` and `desired`. */
export function showLink(conditions: Conditions, state: SyncState): void {
  if (state.kind === 'waiting') {
    conditions.set({
      type: CONNECTION,
      axis: state.trouble.kind === 'revoked' ? 'security' : 'connection',
      message: state.trouble.message,
      ...BY_TROUBLE[state.trouble.kind],
    });
    return;
  }
  // While it tries again the last condition stays: it would only flicker.
  if (state.kind !== 'settling' && state.kind !== 'synced') return;
  conditions.clear(CONNECTION);
  showDesired(conditions, state.trouble);
}

function showDesired(conditions: Conditions, trouble: Trouble | null): void {
  if (trouble === null) {
    conditions.clear(DESIRED);
    return;
  }
  const isRefusal = trouble.kind === 'document';
  conditions.set({
    type: DESIRED,
    axis: isRefusal ? 'security' : 'connection',
    severity: isRefusal ? 'error' : 'warning',
    reason: isRefusal ? 'DesiredRefused' : 'CannotFetch',
    message: trouble.message,
  });
}
