/** What an error means to the link: the one mapper from errors to troubles. */
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { type Trouble, TROUBLES } from './sync-state.ts';

/** Codes of desired.ts: the document was heard and refused; asking again soon is of no use. */
const REFUSALS = new Set([
  'root_mismatch',
  'keys_signature',
  'keys_lower',
  'key_unknown',
  'signature_invalid',
  'agent_mismatch',
  'revision_lower',
  'revision_reused',
  'protocol_version',
]);

const UNREACHED = new Set(['unreachable', 'tls', 'timeout', 'no_responders', 'link_request']);

function isTrouble(value: unknown): value is Trouble {
  const kind = (value as Trouble | null)?.kind;
  return TROUBLES.some((candidate) => candidate === kind);
}

/** Of connecting, or of a connection that ended: a connector says the trouble itself. */
export function linkTrouble(error: unknown): Trouble {
  if (isTrouble(error)) return error;
  if (error instanceof RunnelError && isTrouble(error.fields.trouble)) return error.fields.trouble;
  return { kind: 'network', message: messageOf(error) };
}

/** Of a renewal; the control plane's codes end in what they mean. */
export function renewTrouble(error: unknown): Trouble {
  const message = messageOf(error);
  if (!(error instanceof RunnelError)) return { kind: 'network', message };
  if (REFUSALS.has(error.code)) return { kind: 'document', message };
  if (error.code.endsWith('revoked')) return { kind: 'revoked', message };
  if (/(pending|not_approved)$/.test(error.code)) return { kind: 'pending', message };
  return { kind: UNREACHED.has(error.code) ? 'network' : 'server', message };
}

/** Of asking for the desired state. */
export function desiredTrouble(error: unknown): Trouble {
  const message = messageOf(error);
  if (!(error instanceof RunnelError)) return { kind: 'server', message };
  if (REFUSALS.has(error.code)) return { kind: 'document', message };
  return { kind: UNREACHED.has(error.code) ? 'network' : 'server', message };
}
