/** Asks the agent that runs on a data directory for its status; null when none answers. */
import { connect } from 'node:net';
import { RunnelError } from '@runnel/shared/errors.ts';
import { statusSocketPath } from './local-socket.ts';

const ANSWER_MS_MAX = 5000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Errors: `status_unanswered` when somebody listens but does not answer. */
export function askStatus(dataDir: string): Promise<Record<string, unknown> | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const socket = connect(statusSocketPath(dataDir));
    const fail = (why: string): void => {
      socket.destroy();
      reject(
        new RunnelError('status_unanswered', `the agent on ${dataDir} did not answer: ${why}`, {
          hint: 'it may be busy; try again, or look at its log',
        }),
      );
    };
    socket.setTimeout(ANSWER_MS_MAX, () => fail('timed out'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const isDown = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
      if (isDown && bytes === 0) resolve(null);
      else fail(error.message);
    });
    socket.on('data', (chunk) => {
      bytes += chunk.byteLength;
      chunks.push(chunk);
      if (bytes > ANSWER_BYTES_MAX) fail('the answer is too large');
    });
    socket.once('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (!text.endsWith('\n')) fail('the answer is cut off');
      else resolve(JSON.parse(text) as Record<string, unknown>);
    });
  });
}
