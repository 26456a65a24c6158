/**
 * NATS subjects (DESIGN.md §10). Every token is checked, so that no name can widen a subject.
 */
import { RunnelError } from '../errors.ts';
import { type AgentId, SUBJECT_TOKEN } from '../ids.ts';

function token(value: string): string {
  if (!SUBJECT_TOKEN.test(value)) {
    throw new RunnelError('subject_token', `not a subject token: ${JSON.stringify(value)}`);
  }
  return value;
}

/** What an agent asks of the control plane, all by request and reply. */
export const REQUESTS = [
  'results',
  'desired',
  'blob',
  'renew',
  'table',
  'state',
  'answer',
] as const;
export type RequestKind = (typeof REQUESTS)[number];

export const subjects = {
  heartbeat: (agent: AgentId): string => `fleet.${token(agent)}.hb`,
  request: (agent: AgentId, kind: RequestKind): string => `cp.${token(agent)}.${kind}`,
  command: (agent: AgentId, name: string): string => `fleet.${token(agent)}.cmd.${token(name)}`,
  commands: (agent: AgentId): string => `fleet.${token(agent)}.cmd.>`,
  inboxPrefix: (agent: AgentId): string => `_INBOX.${token(agent)}`,
  /** What the control plane listens on. */
  allHeartbeats: 'fleet.*.hb',
  allRequests: (kind: RequestKind): string => `cp.*.${kind}`,
} as const;

/** The agent id in a subject of ours, or undefined when the subject is not one of ours. */
export function agentOf(subject: string): AgentId | undefined {
  const [root, agent] = subject.split('.');
  if ((root !== 'cp' && root !== 'fleet') || agent === undefined) return undefined;
  return SUBJECT_TOKEN.test(agent) ? (agent as AgentId) : undefined;
}

/**
 * Whether a reply may be sent to `reply` for a request of `agent`. NATS permissions do not cover
 * reply subjects: without this check one device could have our answers land in another's inbox.
 */
export function isOwnReply(agent: AgentId, reply: string | undefined): reply is string {
  return reply !== undefined && reply.startsWith(`_INBOX.${agent}.`) && !/[\s*>]/.test(reply);
}
