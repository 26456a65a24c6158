/** Waits for a line, tries to take the lock of a directory, says how it went, and holds it. */
import { createInterface } from 'node:readline';
import { systemRandom } from '@runnel/shared/random.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { lockDataDir } from '@runnel/agent/checkpoints/data-dir-lock.ts';

const [dir = ''] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin });
const end = (): void => {
  lines.close();
  process.stdin.destroy();
};
process.stdout.write('ready\n');
lines.once('line', () => {
  try {
    const lock = lockDataDir(dir, systemRandom);
    process.stdout.write(`held ${lock.takenOver?.pid ?? 'fresh'}\n`);
    lines.once('line', () => {
      lock.release();
      end();
    });
  } catch (error) {
    process.stdout.write(`${error instanceof RunnelError ? error.code : String(error)}\n`);
    end();
  }
});
