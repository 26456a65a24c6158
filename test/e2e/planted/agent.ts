/**
 * An agent with one bug, composed from the real parts: `RUNNEL_PLANT` names it. The auditor of the
 * crash runs must see each of them.
 */
import { join } from 'node:path';
import { runAgent } from '@runnel/agent/main.ts';
import type { RuntimeSeams } from '@runnel/agent/agent-parts.ts';
import type { StoreTx } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { pause } from '../../support/pause.ts';
import { repository } from '../../support/processes.ts';
import { storeAround } from '../../support/store-around.ts';

/** Long enough for a kill to fall into it. */
const GAP_MS = 300;

type Write = (tx: StoreTx) => void;

/** The part of a write that concerns the databases for which `wants` is true. */
function only(operations: readonly ((tx: StoreTx) => void)[]): Write {
  return (tx) => {
    for (const operation of operations) operation(tx);
  };
}

const bugs: Readonly<Record<string, RuntimeSeams>> = {
  /** The journal and offsets first, state and outbox a little later: not one commit. */
  'commit-split': {
    wrapStore: (store) =>
      storeAround(store, async (write) => {
        const first: ((tx: StoreTx) => void)[] = [];
        const second: ((tx: StoreTx) => void)[] = [];
        const part = (db: string): typeof first => (/journal|meta|ring/.test(db) ? first : second);
        write({
          put: (db, key, value) => part(db).push((tx) => tx.put(db, key, value)),
          remove: (db, key) => part(db).push((tx) => tx.remove(db, key)),
        });
        await store.commit(only(first));
        await pause(GAP_MS);
        return store.commit(only(second));
      }),
  },
  /** Acknowledged when it is handed over, not when it is on disk. */
  'early-puback': {
    acknowledge: async (flushed, acknowledge) => {
      acknowledge();
      await flushed;
    },
    wrapStore: (store) =>
      storeAround(store, async (write) => {
        const operations: ((tx: StoreTx) => void)[] = [];
        write({
          put: (db, key, value) => operations.push((tx) => tx.put(db, key, value)),
          remove: (db, key) => operations.push((tx) => tx.remove(db, key)),
        });
        await pause(GAP_MS);
        return store.commit(only(operations));
      }),
  },
  /** The ids that a commit acknowledges are not kept. */
  'no-ring': {
    wrapStore: (store) =>
      storeAround(store, (write) =>
        store.commit((tx) =>
          write({
            put: (db, key, value) => {
              if (db !== 'ring') tx.put(db, key, value);
            },
            remove: (db, key) => tx.remove(db, key),
          }),
        ),
      ),
  },
};

const seams = bugs[process.env.RUNNEL_PLANT ?? ''];
if (seams === undefined) throw new Error(`no bug named ${process.env.RUNNEL_PLANT}`);
const options = process.argv.slice(2);
const dataDir = options[options.indexOf('--data') + 1] as string;
const [host, port] = (options[options.indexOf('--metrics') + 1] as string).split(':');
await runAgent({
  dataDir,
  clock: systemClock,
  random: systemRandom,
  verifyEntry: join(repository, 'agent/dist/verify-store.js'),
  metricsListen: { host: host as string, port: Number(port) },
  seams,
});
