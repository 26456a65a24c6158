/**
 * Reads and edits of enrolled agents. Enrolment, approval and revocation are written by
 * `identity/`, last-seen times by `intake/`; this file holds what the API and placement need.
 */
import type { Kysely, Selectable } from 'kysely';
import type { AgentsTable, Schema } from './schema.ts';

export interface AgentRecord {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: 'approved' | 'pending' | 'revoked';
  readonly fixedLabels: readonly string[];
  readonly platform: { readonly os: string; readonly arch: string; readonly node: string };
  readonly agentVersion: string;
  readonly enrolledAt: number;
  readonly credentialsExpireAt: number | null;
  readonly lastSeenAt: number | null;
  readonly revokedAt: number | null;
}

const COLUMNS = [
  'id',
  'name',
  'labels',
  'status',
  'fixed_labels',
  'platform',
  'agent_version',
  'enrolled_at',
  'credentials_expire_at',
  'last_seen_at',
  'revoked_at',
] as const;

type AgentRow = Pick<Selectable<AgentsTable>, (typeof COLUMNS)[number]>;

/** Every agent, revoked ones included, by id. */
export async function allAgents(db: Kysely<Schema>): Promise<AgentRecord[]> {
  const rows = await db.selectFrom('agents').select(COLUMNS).orderBy('id').execute();
  return rows.map(fromRow);
}

export async function agentById(db: Kysely<Schema>, id: string): Promise<AgentRecord | undefined> {
  const row = await db.selectFrom('agents').select(COLUMNS).where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : fromRow(row);
}

/** Statements have a limit of values on both databases; a fleet is read in parts. */
const IDS_PER_READ = 500;

/** Those that are there, by id. */
export async function agentsById(
  db: Kysely<Schema>,
  ids: readonly string[],
): Promise<AgentRecord[]> {
  const found: AgentRecord[] = [];
  for (let start = 0; start < ids.length; start += IDS_PER_READ) {
    const part = ids.slice(start, start + IDS_PER_READ);
    const rows = await db.selectFrom('agents').select(COLUMNS).where('id', 'in', part).execute();
    found.push(...rows.map(fromRow));
  }
  return found.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

export async function setAgentLabels(
  db: Kysely<Schema>,
  id: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  await db
    .updateTable('agents')
    .set({ labels: JSON.stringify(labels) })
    .where('id', '=', id)
    .execute();
}

export async function setAgentName(db: Kysely<Schema>, id: string, name: string): Promise<void> {
  await db.updateTable('agents').set({ name }).where('id', '=', id).execute();
}

/**
 * Forgets a revoked agent: its row, desired state, marks and the parameters that were set for it.
 * Its results, events and audit rows stay as history. Returns false when it is not there or not
 * revoked.
 */
export async function deleteRevokedAgent(db: Kysely<Schema>, id: string): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    const deleted = await transaction
      .deleteFrom('agents')
      .where('id', '=', id)
      .where('status', '=', 'revoked')
      .executeTakeFirst();
    if (deleted.numDeletedRows === 0n) return false;
    await transaction.deleteFrom('desired').where('agent', '=', id).execute();
    await transaction.deleteFrom('marks').where('agent', '=', id).execute();
    await transaction.deleteFrom('job_parameters').where('scope', '=', `agent:${id}`).execute();
    return true;
  });
}

function fromRow(row: AgentRow): AgentRecord {
  return {
    id: row.id,
    name: row.name,
    labels: JSON.parse(row.labels) as Record<string, string>,
    status: row.status as AgentRecord['status'],
    fixedLabels: JSON.parse(row.fixed_labels) as string[],
    platform: JSON.parse(row.platform) as AgentRecord['platform'],
    agentVersion: row.agent_version,
    enrolledAt: row.enrolled_at,
    credentialsExpireAt: row.credentials_expire_at,
    lastSeenAt: row.last_seen_at,
    revokedAt: row.revoked_at,
  };
}
