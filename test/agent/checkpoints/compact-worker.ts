/**
 * A process that compacts a store and kills itself behind the step that is asked for:
 * `compact-worker DATA_DIR VERIFY_ENTRY STEP`.
 */
import { join } from 'node:path';
import { systemClock } from '@runnel/shared/clock.ts';
import { openCheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { StoreCompaction } from '@runnel/agent/checkpoints/compact-store.ts';

const [dataDir = '', verifyEntry = '', killAt = ''] = process.argv.slice(2);
const store = openCheckpointStore({
  dir: join(dataDir, 'store'),
  bytesMax: 1 << 30,
  monotonicMs: () => systemClock.monotonicMs(),
});
const compaction = new StoreCompaction({
  store,
  dataDir,
  clock: systemClock,
  verifyEntry,
  exclusive: (change) => change(),
  onStep: (step) => {
    if (step === killAt) process.kill(process.pid, 'SIGKILL');
  },
});
await compaction.compact(new AbortController().signal);
