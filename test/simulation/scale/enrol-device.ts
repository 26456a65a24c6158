/**
 * Enrols a light device as agent/sync/enrolment.ts does, without its files: a key of its own, the
 * proof, the token's fingerprint against the root key, the list of signing keys.
 */
import { createUser } from '@nats-io/nkeys';
import { agentVersion, platform } from '@runnel/agent/config/agent-version.ts';
import { verifyKeyList } from '@runnel/agent/sync/desired.ts';
import { type DeviceKey, deviceKey } from '@runnel/agent/sync/device-key.ts';
import { jsonPoster, type PostJson } from '@runnel/agent/sync/http-json.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId, EpochMs } from '@runnel/shared/ids.ts';
import {
  type Credentials,
  enrolmentProof,
  enrolReply,
  enrolRequest,
  JOIN_TOKEN,
} from '@runnel/shared/protocol/enrolment.ts';
import { parseMessage, PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';

export interface EnrolledDevice {
  readonly agent: AgentId;
  /** Counts up from 0 over the fleet. */
  readonly index: number;
  readonly key: DeviceKey;
  readonly post: PostJson;
  readonly credentials: Credentials;
  readonly rootFingerprint: string;
  readonly sequence: number;
}

/** Devices behind one address: the control plane limits how fast one address enrols. */
const DEVICES_PER_SITE = 100;

/** Each site has a loopback address of its own. */
function siteAddress(index: number): string {
  const site = Math.floor(index / DEVICES_PER_SITE);
  return `127.1.${Math.floor(site / 250)}.${(site % 250) + 1}`;
}

/** Errors: `root_mismatch`, `not_approved`, those of `PostJson` and of the control plane. */
export async function enrolDevice(
  url: string,
  token: string,
  index: number,
  at: EpochMs,
): Promise<EnrolledDevice> {
  const post = jsonPoster({ baseUrl: url, localAddress: siteAddress(index), timeoutMs: 60_000 });
  const key = deviceKey(createUser().getSeed());
  const { publicKey } = key;
  const name = `light-${String(index).padStart(5, '0')}`;
  const request = parseMessage(enrolRequest, {
    v: PROTOCOL_VERSION,
    token,
    publicKey,
    name,
    labels: { simulated: 'yes' },
    agentVersion,
    platform,
    at,
    proof: key.proof(enrolmentProof({ token, publicKey, name, at })),
  });
  const reply = parseMessage(enrolReply, await post('api/v1/enroll', request));
  const fingerprint = JOIN_TOKEN.exec(token)?.[3] ?? '';
  const { sequence } = verifyKeyList({ rootFingerprint: fingerprint, sequence: 0 }, reply.keys);
  if (reply.credentials === null) throw new RunnelError('not_approved', `${name} must wait`);
  return {
    agent: reply.agent as AgentId,
    index,
    key,
    post,
    credentials: reply.credentials,
    rootFingerprint: fingerprint,
    sequence,
  };
}
