/**
 * Devices: enrolment, renewal, approval, revocation (DESIGN.md §10).
 *
 * Enrolment is idempotent by device key: the same key always gets the same agent id, and costs no
 * second use of the token. A request can be overheard and sent again, so with a token that has
 * expired it changes nothing of a device, and other fixed labels cost a use of the token that fixes
 * them. The same name with another key waits for a person, and a device that is enrolled keeps its
 * name when the one that it asks for belongs to another. Renewal works after the
 * credentials expired, for as long as the device is not revoked.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { Clock } from '@runnel/shared/clock.ts';
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import {
  type Credentials,
  type EnrolRequest,
  type Labels,
  type RenewRequest,
  enrolmentProof,
  renewalProof,
} from '@runnel/shared/protocol/enrolment.ts';
import { readPublicKey } from '@runnel/shared/protocol/nkey.ts';
import { verifySignature } from '@runnel/shared/protocol/signing.ts';
import type { Random } from '@runnel/shared/random.ts';
import { appendEvent } from '../store/events.ts';
import type { AgentsTable, Schema } from '../store/schema.ts';
import {
  type JoinTokenParts,
  type JoinTokenRow,
  checkUsable,
  findJoinToken,
  hasUses,
  isOver,
  takeUse,
} from './join-tokens.ts';
import type { KeyRing } from './key-ring.ts';
import { deviceJwt } from './nats-jwts.ts';
import { addRevocation, isRevoked } from './revocations.ts';

export type AgentRow = Selectable<AgentsTable>;

const LABELS_MAX = 64;
const NONCE_MS_MAX = 5 * 60_000;

export interface DeviceParts {
  readonly db: Kysely<Schema>;
  readonly keys: KeyRing;
  readonly clock: Clock;
  readonly random: Random;
  readonly credentialsMs: number;
  readonly natsUrls: () => readonly string[];
  readonly natsCa: string | null;
}

/**
 * Errors: `token_unknown`, `token_expired`, `token_used_up`, `token_revoked`, `proof_invalid`,
 * `agent_revoked`, `labels_invalid`.
 */
export async function enrolDevice(parts: DeviceParts, request: EnrolRequest): Promise<AgentRow> {
  const { db, keys, clock, random } = parts;
  if (!proves(request.publicKey, enrolmentProof(request), request.proof)) {
    throw new RunnelError('proof_invalid', 'the device did not prove that the key is its own');
  }
  const tokens: JoinTokenParts = { db, clock, random, fingerprint: keys.fingerprint };
  const token = await findJoinToken(tokens, request.token);
  const fixed = JSON.parse(token.labels) as Labels;
  const labels = { ...request.labels, ...fixed };
  if (Object.keys(labels).length > LABELS_MAX) {
    throw new RunnelError('labels_invalid', `a device has at most ${LABELS_MAX} labels`);
  }
  const described = {
    name: request.name,
    labels: JSON.stringify(labels),
    fixed_labels: JSON.stringify(Object.keys(fixed)),
    platform: JSON.stringify(request.platform),
    agent_version: request.agentVersion,
  };
  return await db.transaction().execute(async (transaction) => {
    const known = await transaction
      .selectFrom('agents')
      .selectAll()
      .where('public_key', '=', request.publicKey)
      .executeTakeFirst();
    if (known !== undefined) {
      if (known.status === 'revoked') throw revoked();
      if (token.revoked_at !== null) checkUsable(token, clock.now());
      if (!(await admitsAnew(transaction, known, token, clock.now()))) return known;
      return await enrolAgain(transaction, known, described, clock.now());
    }
    if (await isRevoked(transaction, request.publicKey)) throw revoked();
    checkUsable(token, clock.now());
    await takeUse(transaction, token);
    return await insertAgent(transaction, parts, request, described);
  });
}

/** Whether this token lets a known device describe itself anew; it may cost a use. */
async function admitsAnew(
  db: Transaction<Schema>,
  known: AgentRow,
  token: JoinTokenRow,
  now: number,
): Promise<boolean> {
  const labels = JSON.parse(known.labels) as Labels;
  const keys = JSON.parse(known.fixed_labels) as string[];
  const fixed = Object.fromEntries(keys.map((key) => [key, labels[key]]));
  if (canonicalJson(fixed) === canonicalJson(JSON.parse(token.labels))) return !isOver(token, now);
  if (isOver(token, now) || !hasUses(token)) return false;
  await takeUse(db, token);
  return true;
}

type Described = Pick<AgentRow, 'name' | 'labels' | 'fixed_labels' | 'platform' | 'agent_version'>;

async function enrolAgain(
  db: Transaction<Schema>,
  known: AgentRow,
  asked: Described,
  at: number,
): Promise<AgentRow> {
  const namesake =
    asked.name === known.name ? undefined : await namesakeOf(db, asked.name, known.id);
  const described = namesake === undefined ? asked : { ...asked, name: known.name };
  await db.updateTable('agents').set(described).where('id', '=', known.id).execute();
  if (namesake !== undefined) {
    await appendEvent(db, {
      at,
      agent: known.id,
      job: null,
      type: 'enrolment',
      severity: 'warning',
      message: `asked for the name ${asked.name}, which ${namesake} has; it keeps ${known.name}`,
    });
  }
  return { ...known, ...described };
}

/** The id of another agent that has this name and is not revoked. */
async function namesakeOf(
  db: Transaction<Schema>,
  name: string,
  id: string,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('agents')
    .select('id')
    .where('name', '=', name)
    .where('status', '<>', 'revoked')
    .where('id', '<>', id)
    .executeTakeFirst();
  return row?.id;
}

async function insertAgent(
  db: Transaction<Schema>,
  { clock, random }: DeviceParts,
  request: EnrolRequest,
  described: Described,
): Promise<AgentRow> {
  const id = randomId(random);
  const namesake = await namesakeOf(db, request.name, id);
  const now = clock.now();
  const row: AgentRow = {
    id,
    public_key: request.publicKey,
    ...described,
    status: namesake === undefined ? 'approved' : 'pending',
    enrolled_at: now,
    credentials_expire_at: null,
    last_seen_at: null,
    last_heartbeat: null,
    revoked_at: null,
  };
  await db.insertInto('agents').values(row).execute();
  const waits = namesake === undefined ? '' : `; ${namesake} has this name, so it must be approved`;
  await appendEvent(db, {
    at: now,
    agent: row.id,
    job: null,
    type: 'enrolment',
    severity: namesake === undefined ? 'info' : 'warning',
    message: `enrolled as ${row.name}${waits}`,
  });
  return row;
}

/** Fresh credentials; the caller has checked that the device may have them. */
export async function issueCredentials(parts: DeviceParts, agent: AgentRow): Promise<Credentials> {
  const issuedAt = parts.clock.now();
  const expiresAt = issuedAt + parts.credentialsMs;
  const jwt = await deviceJwt(parts.keys.nats, {
    agent: agent.id,
    publicKey: agent.public_key,
    expiresAt,
  });
  const stored = await parts.db
    .updateTable('agents')
    .set({ credentials_expire_at: expiresAt })
    .where('id', '=', agent.id)
    .where('status', '=', 'approved')
    .executeTakeFirst();
  // Revoked in this instant: what was signed is thrown away.
  if (stored.numUpdatedRows === 0n) throw revoked();
  return { jwt, issuedAt, expiresAt, natsUrls: [...parts.natsUrls()], natsCa: parts.natsCa };
}

/** Time and a tag over it: nothing has to be remembered, and any replica can check it. */
export function renewNonce(parts: DeviceParts): string {
  const body = `${parts.clock.now().toString(36)}.${randomId(parts.random, 16)}`;
  return `${body}.${parts.keys.tag(`renew-nonce.${body}`)}`;
}

/** Errors: `nonce_invalid`, `nonce_expired`, `proof_invalid`, those of `approvedAgent`. */
export async function checkRenewal(parts: DeviceParts, request: RenewRequest): Promise<AgentRow> {
  const [time, salt, tag] = request.nonce.split('.');
  const body = `${time}.${salt}`;
  if (!isSame(parts.keys.tag(`renew-nonce.${body}`), tag ?? '')) {
    throw new RunnelError('nonce_invalid', 'the nonce is not of this control plane', {
      hint: 'ask for a nonce first',
    });
  }
  const ageMs = parts.clock.now() - Number.parseInt(time ?? '', 36);
  if (!(Math.abs(ageMs) <= NONCE_MS_MAX)) {
    throw new RunnelError('nonce_expired', 'the nonce is too old', { retry: 'backoff' });
  }
  if (!proves(request.publicKey, renewalProof(request.agent, request.nonce), request.proof)) {
    throw new RunnelError('proof_invalid', 'the device did not prove that the key is its own');
  }
  const agent = await approvedAgent(parts.db, request.agent);
  if (agent.public_key !== request.publicKey) {
    throw new RunnelError('proof_invalid', 'the key is not the one that this agent enrolled with');
  }
  return agent;
}

/** Errors: `agent_unknown`, `agent_revoked`, `agent_pending`. */
export async function approvedAgent(db: Kysely<Schema>, id: string): Promise<AgentRow> {
  const agent = await findAgent(db, id);
  if (agent.status === 'revoked') throw revoked();
  if (agent.status === 'pending') {
    throw new RunnelError('agent_pending', 'the device waits for approval', {
      retry: 'backoff',
      hint: 'approve it on the fleet page, or with: runnel agents approve',
    });
  }
  return agent;
}

/** Lets a waiting device in. Errors: `agent_unknown`, `agent_not_pending`. */
export async function approveDevice(parts: DeviceParts, id: string): Promise<void> {
  const approved = await parts.db
    .updateTable('agents')
    .set({ status: 'approved' })
    .where('id', '=', id)
    .where('status', '=', 'pending')
    .executeTakeFirst();
  if (approved.numUpdatedRows === 0n) {
    const agent = await findAgent(parts.db, id);
    throw new RunnelError('agent_not_pending', `${agent.name} is ${agent.status}`);
  }
  await tell(parts, id, 'info', 'approved');
}

/** False when it was revoked before. Error: `agent_unknown`. */
export async function revokeDevice(parts: DeviceParts, id: string): Promise<boolean> {
  const now = parts.clock.now();
  const changed = await parts.db.transaction().execute(async (transaction) => {
    const agent = await findAgent(transaction, id);
    if (agent.status === 'revoked') return false;
    await transaction
      .updateTable('agents')
      .set({ status: 'revoked', revoked_at: now })
      .where('id', '=', id)
      .execute();
    const until = agent.credentials_expire_at ?? now;
    await addRevocation(transaction, agent.public_key, now, until);
    return true;
  });
  if (changed) await tell(parts, id, 'warning', 'revoked');
  return changed;
}

async function findAgent(db: Kysely<Schema>, id: string): Promise<AgentRow> {
  const agent = await db.selectFrom('agents').selectAll().where('id', '=', id).executeTakeFirst();
  if (agent !== undefined) return agent;
  throw new RunnelError('agent_unknown', `there is no agent ${JSON.stringify(id.slice(0, 64))}`);
}

async function tell(
  { db, clock }: DeviceParts,
  agent: string,
  severity: 'info' | 'warning',
  message: string,
): Promise<void> {
  const event = { at: clock.now(), agent, job: null, type: 'enrolment', severity, message };
  await appendEvent(db, event);
}

function revoked(): RunnelError {
  return new RunnelError('agent_revoked', 'the device was revoked', {
    hint: 'to bring it back, remove its data directory and enrol it again with a new token',
  });
}

/** Takes the same time wherever they differ, so that no tag can be guessed piece by piece. */
function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** False for a wrong signature and for what is no key or signature at all. */
function proves(publicKey: string, text: string, signature: string): boolean {
  const raw = readPublicKey(publicKey)?.raw.toString('base64url');
  return raw !== undefined && verifySignature(raw, text, signature);
}
