/**
 * A version that takes the whole process down (out of memory, a crash of a native part) cannot be
 * caught as a throw. So each start after an unclean stop adds one to every version that is still
 * unconfirmed, before any job runs; job-plan.ts gives up those that have had enough (I10).
 *
 * The store cannot tell whose fault a death was: a power cut counts like the others, and several
 * unconfirmed versions count together.
 */
import type { Logger } from 'pino';
import { messageOf } from '@runnel/shared/errors.ts';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.ts';
import { putJob, readJobs } from './job-record.ts';

/** One small commit, and none when nothing is unconfirmed. A full disk must not keep it down. */
export async function countDeath(store: CheckpointStore, log: Logger): Promise<void> {
  const unconfirmed = readJobs(store).filter(
    ({ paused, previous }) => !paused && previous !== null,
  );
  try {
    await store.commit((tx) => {
      for (const record of unconfirmed) putJob(tx, { ...record, deaths: record.deaths + 1 });
    });
  } catch (error) {
    log.error({ error: messageOf(error) }, 'an unclean stop was not counted');
  }
}
