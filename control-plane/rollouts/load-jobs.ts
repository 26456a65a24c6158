/**
 * Every version of every job that some device is to run, read for placement. What was read before
 * and is the same is taken over: to parse every document again at every change would cost seconds
 * in a large fleet.
 */
import type { Kysely } from 'kysely';
import { layersOf, ParameterLayers } from '../definitions/parameter-layers.ts';
import { getVersion, type JobRecord, listJobs } from '../store/jobs.ts';
import { type ParameterRecord, parameterRecords } from '../store/parameters.ts';
import type { Schema } from '../store/schema.ts';
import { type AssignedJob, AssignedJobs, type Assignment } from './assigned-jobs.ts';
import { type PlacedJob, placedJob } from './placement.ts';

interface LoadParts {
  readonly db: Kysely<Schema>;
  readonly assignment?: (job: string) => Assignment;
  readonly unreadable: (job: string, error: unknown) => void;
}

export async function loadJobs(parts: LoadParts, known: AssignedJobs): Promise<AssignedJobs> {
  const jobs: AssignedJob[] = [];
  const values = valuesByJob(await parameterRecords(parts.db));
  for (const job of await listJobs(parts.db)) {
    const assignment = parts.assignment?.(job.name) ?? everywhere(job.version);
    const layers = new ParameterLayers(layersOf(values.get(job.name) ?? []));
    const byVersion = new Map<number, PlacedJob>();
    for (const version of assignment.versions) {
      const same = known.version(job.name, version);
      const placed =
        same !== undefined && isCurrent(same, job, layers)
          ? same
          : await placedVersion(parts, job, version, layers);
      if (placed !== undefined) byVersion.set(version, placed);
    }
    jobs.push({ assignment, byVersion });
  }
  return new AssignedJobs(jobs);
}

async function placedVersion(
  { db, unreadable }: LoadParts,
  job: JobRecord,
  version: number,
  layers: ParameterLayers,
): Promise<PlacedJob | undefined> {
  const { name, paused } = job;
  try {
    if (version === job.version) return placedJob(job, layers);
    const record = await getVersion(db, name, version);
    if (record === undefined) return undefined;
    const { hash, document } = record;
    return placedJob({ name, version, hash, document, paused }, layers);
  } catch (error) {
    unreadable(name, error);
    return undefined;
  }
}

/** Versions are immutable; a number can only come back with other content after a restore. */
function isCurrent(placed: PlacedJob, job: JobRecord, layers: ParameterLayers): boolean {
  const { version, hash, paused } = placed.desired;
  if (paused !== job.paused || placed.layers.text !== layers.text) return false;
  return version !== job.version || hash === job.hash;
}

function everywhere(version: number): Assignment {
  return { versions: new Set([version]), elsewhere: version, at: undefined };
}

function valuesByJob(records: readonly ParameterRecord[]): Map<string, ParameterRecord[]> {
  const byJob = new Map<string, ParameterRecord[]>();
  for (const record of records) {
    const values = byJob.get(record.job) ?? [];
    byJob.set(record.job, values);
    values.push(record);
  }
  return byJob;
}
