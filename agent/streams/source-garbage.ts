/**
 * Offsets and redelivery rings of sources that no job can use any more.
 *
 * They stay when a source stops, so that a paused job goes on where it was; they go when no stored
 * version of a job names the source, the frozen ones included. All of a source goes in one commit,
 * a few sources per commit. A version that this release cannot compile may use any of them:
 * then all stay. A crash or a failed commit only delays it, since what is stored is looked through
 * after every change of jobs.
 */
import type { Logger } from 'pino';
import { messageOf } from '@runnel/shared/errors.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';

const SOURCES_PER_COMMIT_MAX = 8;

export interface SourceGarbageOptions {
  readonly store: CheckpointStore;
  readonly log: Logger;
  /** Ids that a stored version of a job may use; throws when one does not compile. */
  readonly used: () => ReadonlySet<string>;
  /** Commits these writes with whatever else there is. */
  readonly commit: (write: (tx: StoreTx) => void) => Promise<void>;
}

export class SourceGarbage {
  readonly #options: SourceGarbageOptions;

  constructor(options: SourceGarbageOptions) {
    this.#options = options;
  }

  /** No source may start meanwhile. Never rejects. `running` are the sources that run. */
  async collect(running: ReadonlySet<string>): Promise<void> {
    const { commit, log, store, used } = this.#options;
    const stored = storedSources(store).filter((id) => !running.has(id));
    // Compiling what is stored takes a while, and there is seldom anything to collect.
    if (stored.length === 0) return;
    try {
      const wanted = used();
      const garbage = stored.filter((id) => !wanted.has(id));
      while (garbage.length > 0) {
        const some = garbage.splice(0, SOURCES_PER_COMMIT_MAX);
        await commit((tx) => {
          for (const id of some) removeSource(store, tx, id);
        });
        log.info({ sources: some }, 'forgot sources that no job uses');
      }
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'unused sources were not forgotten');
    }
  }
}

/** Every source that has an offset or a ring. */
function storedSources(store: CheckpointStore): string[] {
  const ids = new Set<string>();
  for (const key of store.keys('meta', { start: ['source', ''], end: ['source', '\uffff'] })) {
    ids.add((key as string[])[1] ?? '');
  }
  // A ring has many chunks: from one source to the next.
  for (let start: [string, number] | undefined = ['', 0]; start !== undefined;) {
    const [key] = store.keys('ring', { start, limit: 1 }) as Iterable<[string, number]>;
    if (key !== undefined) ids.add(key[0]);
    start = key === undefined ? undefined : [key[0], Number.MAX_SAFE_INTEGER];
  }
  return [...ids];
}

function removeSource(store: CheckpointStore, tx: StoreTx, id: string): void {
  tx.remove('meta', ['source', id]);
  const range = { start: [id, 0], end: [id, Number.MAX_SAFE_INTEGER] };
  for (const key of store.keys('ring', range)) tx.remove('ring', key);
}
