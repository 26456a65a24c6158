/**
 * Enrols this device with a control plane (DESIGN.md §10).
 *
 * Guarantees: the device key is on disk before the request, so a crash in between or a lost answer
 * repeats with the same key and the control plane answers the same; nothing is taken from a
 * control plane whose root key does not match the token's fingerprint; `agent.yaml` is written
 * last, so that it exists only for an enrolment that is whole; people's edits in it are kept.
 * Running it again is harmless, also with a token that has been used up meanwhile. Refused: a
 * directory that belongs to another control plane.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import {
  type EnrolReply,
  enrolmentProof,
  enrolReply,
  enrolRequest,
  JOIN_TOKEN,
  type Labels,
} from '@runnel/shared/protocol/enrolment.ts';
import { rootFingerprint } from '@runnel/shared/protocol/signing.ts';
import { parseMessage, PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import { agentVersion, platform } from '../config/agent-version.ts';
import {
  type EnrolledWith,
  type Identity,
  readIdentity,
  writeIdentity,
} from '../config/agent-yaml.ts';
import { dataFiles, type DataFiles } from '../config/data-files.ts';
import {
  ensureSeed,
  readCredentials,
  readTrust,
  writeCredentials,
  writeTrust,
} from '../config/identity-files.ts';
import { verifyKeyList } from './desired.ts';
import { deviceKey } from './device-key.ts';
import type { PostJson } from './http-json.ts';

export interface EnrolOptions {
  readonly url: string;
  readonly token: string;
  readonly dataDir: string;
  /** Absent: the name it has, else the host's. */
  readonly name?: string | undefined;
  readonly hostName: string;
  /** Empty: the labels it has. */
  readonly labels: Labels;
  /** File with the private CA of the control plane's HTTPS address; kept in agent.yaml. */
  readonly caFile?: string | undefined;
  readonly clock: Clock;
  readonly post: PostJson;
}

export interface EnrolOutcome {
  readonly identity: Identity;
  /** False while a person must approve this device: same name, other key. */
  readonly approved: boolean;
  /** The token was not taken, but this directory is enrolled with that control plane already. */
  readonly already: boolean;
}

/** A token that is over does not matter to a device that is enrolled. */
const TOKEN_OVER = /token.*(expired|used|revoked|unknown|not_found|invalid)/;

/**
 * Errors: `token_malformed`, `other_control_plane`, `root_mismatch`, `keys_signature`, those of
 * `PostJson` and of the control plane.
 */
export async function enrol(options: EnrolOptions): Promise<EnrolOutcome> {
  const fingerprint = tokenFingerprint(options.token);
  const files = dataFiles(options.dataDir);
  const known = await readIdentity(files);
  if (known !== null && known.identity.rootFingerprint !== fingerprint) {
    throw new RunnelError(
      'other_control_plane',
      `${options.dataDir} is enrolled with another control plane, ${known.controlPlane}`,
      { hint: 'use another --data directory, or remove this one to start anew' },
    );
  }
  let reply: EnrolReply;
  try {
    reply = await ask(options, files, known);
  } catch (error) {
    const isOver = error instanceof RunnelError && TOKEN_OVER.test(error.code);
    if (known === null || !isOver) throw error;
    // Credentials come with the approval, never before it.
    const approved = (await readCredentials(files)) !== null;
    return { identity: known.identity, approved, already: true };
  }
  return keep(options, reply, fingerprint, known);
}

function tokenFingerprint(token: string): string {
  const fingerprint = JOIN_TOKEN.exec(token)?.[3];
  if (fingerprint !== undefined) return fingerprint;
  const problem = token.startsWith('rj1.')
    ? 'the token is damaged or cut'
    : 'this is not a join token: it starts with rj1.';
  throw new RunnelError('token_malformed', problem, {
    hint: 'copy the whole token from "Add device" or from `runnel token create --role agent`',
  });
}

async function ask(
  options: EnrolOptions,
  files: DataFiles,
  known: EnrolledWith | null,
): Promise<EnrolReply> {
  const key = deviceKey(await ensureSeed(files));
  const { token } = options;
  const name = options.name ?? known?.identity.name ?? options.hostName;
  const isSilent = Object.keys(options.labels).length === 0;
  const at = options.clock.now();
  const proof = key.proof(enrolmentProof({ token, publicKey: key.publicKey, name, at }));
  const request = parseMessage(enrolRequest, {
    v: PROTOCOL_VERSION,
    token,
    publicKey: key.publicKey,
    name,
    labels: isSilent ? (known?.identity.labels ?? {}) : options.labels,
    agentVersion,
    platform,
    at,
    proof,
  });
  return parseMessage(enrolReply, await options.post('api/v1/enroll', request));
}

async function keep(
  options: EnrolOptions,
  reply: EnrolReply,
  fingerprint: string,
  known: EnrolledWith | null,
): Promise<EnrolOutcome> {
  const files = dataFiles(options.dataDir);
  if (rootFingerprint(reply.rootKey) !== fingerprint) {
    throw new RunnelError(
      'root_mismatch',
      `${options.url} is not the control plane that made this token: its root key differs`,
      { hint: 'check the address; if it is right, somebody may be in between' },
    );
  }
  const trusted = await readTrust(files);
  const pinned = { rootFingerprint: fingerprint, sequence: 0 };
  const sequence = trusted === null ? 0 : verifyKeyList(pinned, trusted.keys).sequence;
  verifyKeyList({ ...pinned, sequence }, reply.keys);
  // Another id is another agent, whose revisions begin anew.
  const isSame = known?.identity.agent === reply.agent;
  await writeTrust(files, { keys: reply.keys, revision: isSame ? (trusted?.revision ?? 0) : 0 });
  if (reply.credentials !== null) await writeCredentials(files, reply.credentials);
  const identity: Identity = {
    agent: reply.agent,
    name: reply.name,
    labels: reply.labels,
    rootFingerprint: fingerprint,
  };
  const { caFile, url } = options;
  await writeIdentity(files, { identity, controlPlane: url, ca: caFile });
  return { identity, approved: reply.approved, already: false };
}
