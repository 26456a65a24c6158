/**
 * Renewal of credentials over HTTP, which works after they expired too: the device proves its key
 * on a nonce that the control plane gives (DESIGN.md §10).
 */
import type { AgentId } from '@runnel/shared/ids.ts';
import {
  renewalProof,
  renewNonceReply,
  type RenewReply,
  renewReply,
} from '@runnel/shared/protocol/enrolment.ts';
import { parseMessage, PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { DeviceKey } from './device-key.ts';
import type { PostJson } from './http-json.ts';

/** Errors: those of `PostJson`; `revoked` and `approval_pending` come from the control plane. */
export async function renewOverHttp(
  post: PostJson,
  agent: AgentId,
  key: DeviceKey,
  signal?: AbortSignal,
): Promise<RenewReply> {
  const identity = { v: PROTOCOL_VERSION, agent, publicKey: key.publicKey };
  const answer = await post('api/v1/renew/nonce', identity, signal);
  const { nonce } = parseMessage(renewNonceReply, answer);
  const proof = key.proof(renewalProof(agent, nonce));
  const request = { ...identity, nonce, proof };
  return parseMessage(renewReply, await post('api/v1/renew', request, signal));
}
