/** A process to be traced: commits, and says so on stdout as soon as a commit has resolved. */
import { writeSync } from 'node:fs';
import { systemClock } from '@runnel/shared/clock.ts';
import { openCheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';

const [dir = '', commits = '0'] = process.argv.slice(2);
const store = openCheckpointStore({
  dir,
  bytesMax: 1 << 30,
  monotonicMs: () => systemClock.monotonicMs(),
});
for (let n = 1; n <= Number(commits); n++) {
  const value = Buffer.alloc(n % 3 === 0 ? 60_000 : 100, n);
  await store.commit((tx) => {
    tx.put('journal', n, value);
    tx.put('meta', ['source', 'x'], value.subarray(0, 50));
    if (n > 5) tx.remove('journal', n - 5);
  });
  writeSync(1, `committed ${n}\n`);
}
await store.close();
