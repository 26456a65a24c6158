/**
 * Jobs and their immutable versions. A version is known by the hash of its canonical document:
 * the same content is never stored twice for a job. Applying content that an earlier version has
 * makes that version current again under its old number (so `version` can go down); `generation`
 * counts every change of what is to run and only ever goes up, also over delete and re-creation.
 */
import type { Kysely, Transaction } from 'kysely';
import type { Schema } from './schema.ts';

export interface JobRecord {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
  readonly generation: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly hash: string;
  /** Parsed canonical JSON. */
  readonly document: unknown;
  readonly paused: boolean;
}

export interface JobVersionRecord {
  readonly job: string;
  readonly version: number;
  readonly hash: string;
  readonly document: unknown;
  readonly source: string;
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface VersionInput {
  readonly name: string;
  readonly kind: string;
  readonly hash: string;
  /** Canonical JSON. */
  readonly document: string;
  readonly source: string;
  readonly createdBy: string;
}

export interface AppliedVersion {
  readonly version: number;
  readonly generation: number;
  /** A new immutable version was stored. */
  readonly created: boolean;
  /** What is to run changed: new job, new content, or another version made current. */
  readonly changed: boolean;
}

/** One transaction; atomic against concurrent applies of the same job. */
export async function applyVersion(
  db: Kysely<Schema>,
  input: VersionInput,
  now: number,
): Promise<AppliedVersion> {
  return await db.transaction().execute(async (transaction) => {
    const job = await transaction
      .selectFrom('jobs')
      .selectAll()
      .where('name', '=', input.name)
      .executeTakeFirst();
    const known = await transaction
      .selectFrom('job_versions')
      .select('version')
      .where('job', '=', input.name)
      .where('hash', '=', input.hash)
      .executeTakeFirst();
    const version = known?.version ?? (await insertVersion(transaction, input, now));
    const created = known === undefined;
    if (job === undefined) {
      const row = { name: input.name, kind: input.kind, version, generation: 1 };
      await transaction
        .insertInto('jobs')
        .values({ ...row, created_at: now, updated_at: now, deleted_at: null, paused: 0 })
        .execute();
      return { version, generation: 1, created, changed: true };
    }
    if (job.deleted_at === null && job.version === version) {
      return { version, generation: job.generation, created, changed: false };
    }
    const generation = job.generation + 1;
    await transaction
      .updateTable('jobs')
      .set({ kind: input.kind, version, generation, updated_at: now, deleted_at: null })
      .where('name', '=', input.name)
      .execute();
    return { version, generation, created, changed: true };
  });
}

async function insertVersion(
  transaction: Transaction<Schema>,
  input: VersionInput,
  now: number,
): Promise<number> {
  const version = (await newestVersion(transaction, input.name)) + 1;
  await transaction
    .insertInto('job_versions')
    .values({
      job: input.name,
      version,
      hash: input.hash,
      document: input.document,
      source: input.source,
      created_at: now,
      created_by: input.createdBy,
    })
    .execute();
  return version;
}

/** The highest version number of a job; 0 when it never had one. */
export async function newestVersion(db: Kysely<Schema>, job: string): Promise<number> {
  const row = await db
    .selectFrom('job_versions')
    .select((e) => e.fn.max('version').as('version'))
    .where('job', '=', job)
    .executeTakeFirst();
  return row?.version ?? 0;
}

/** What an apply of this content would do, without doing it. */
export async function findVersionByHash(
  db: Kysely<Schema>,
  name: string,
  hash: string,
): Promise<number | undefined> {
  const row = await db
    .selectFrom('job_versions')
    .select('version')
    .where('job', '=', name)
    .where('hash', '=', hash)
    .executeTakeFirst();
  return row?.version;
}

/** Jobs that are to run, by name. */
export async function listJobs(db: Kysely<Schema>): Promise<JobRecord[]> {
  const rows = await currentJobs(db).orderBy('jobs.name').execute();
  return rows.map(fromRow);
}

export async function getJob(db: Kysely<Schema>, name: string): Promise<JobRecord | undefined> {
  const row = await currentJobs(db).where('jobs.name', '=', name).executeTakeFirst();
  return row === undefined ? undefined : fromRow(row);
}

function currentJobs(db: Kysely<Schema>) {
  return db
    .selectFrom('jobs')
    .innerJoin('job_versions', (join) =>
      join
        .onRef('job_versions.job', '=', 'jobs.name')
        .onRef('job_versions.version', '=', 'jobs.version'),
    )
    .select([
      'jobs.name',
      'jobs.kind',
      'jobs.version',
      'jobs.generation',
      'jobs.created_at',
      'jobs.updated_at',
      'jobs.paused',
      'job_versions.hash',
      'job_versions.document',
    ])
    .where('jobs.deleted_at', 'is', null);
}

function fromRow(row: {
  name: string;
  kind: string;
  version: number;
  generation: number;
  created_at: number;
  updated_at: number;
  paused: number;
  hash: string;
  document: string;
}): JobRecord {
  return {
    name: row.name,
    kind: row.kind,
    version: row.version,
    generation: row.generation,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    hash: row.hash,
    document: JSON.parse(row.document),
    paused: row.paused !== 0,
  };
}

/**
 * Stops a job everywhere, or lets it go on; over new versions too, until it is deleted. Undefined
 * when there is no such job, false when it was so already.
 */
export async function setJobPaused(
  db: Kysely<Schema>,
  name: string,
  paused: boolean,
  now: number,
): Promise<boolean | undefined> {
  return await db.transaction().execute(async (transaction) => {
    const job = await transaction
      .selectFrom('jobs')
      .select(['generation', 'paused'])
      .where('name', '=', name)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    if (job === undefined) return undefined;
    if ((job.paused !== 0) === paused) return false;
    await transaction
      .updateTable('jobs')
      .set({ paused: paused ? 1 : 0, updated_at: now, generation: job.generation + 1 })
      .where('name', '=', name)
      .execute();
    return true;
  });
}

/** Marks the job deleted; versions stay. Returns its generation, undefined when it is not there. */
export async function deleteJob(
  db: Kysely<Schema>,
  name: string,
  now: number,
): Promise<number | undefined> {
  return await db.transaction().execute(async (transaction) => {
    const job = await transaction
      .selectFrom('jobs')
      .select('generation')
      .where('name', '=', name)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    if (job === undefined) return undefined;
    const generation = job.generation + 1;
    await transaction
      .updateTable('jobs')
      .set({ deleted_at: now, updated_at: now, generation, paused: 0 })
      .where('name', '=', name)
      .execute();
    return generation;
  });
}

/** Newest first; versions of a deleted job too. */
export async function listVersions(db: Kysely<Schema>, job: string): Promise<JobVersionRecord[]> {
  const rows = await db
    .selectFrom('job_versions')
    .selectAll()
    .where('job', '=', job)
    .orderBy('version', 'desc')
    .execute();
  return rows.map(fromVersionRow);
}

export async function getVersion(
  db: Kysely<Schema>,
  job: string,
  version: number,
): Promise<JobVersionRecord | undefined> {
  const row = await db
    .selectFrom('job_versions')
    .selectAll()
    .where('job', '=', job)
    .where('version', '=', version)
    .executeTakeFirst();
  return row === undefined ? undefined : fromVersionRow(row);
}

function fromVersionRow(row: Schema['job_versions']): JobVersionRecord {
  return {
    job: row.job,
    version: row.version,
    hash: row.hash,
    document: JSON.parse(row.document),
    source: row.source,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
