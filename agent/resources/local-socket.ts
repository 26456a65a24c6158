/**
 * Where `status` reaches a running agent: a Unix socket in the data directory, readable by the
 * agent's user alone. A live answer over a socket instead of a status file, because a file that is
 * kept fresh wears out flash for nobody.
 *
 * A path beyond what the system takes for a socket (104 bytes on the smallest) goes to a directory
 * of temporary files under a name made from the path; on Windows it is a named pipe.
 */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const SOCKET_PATH_BYTES_MAX = 100;

export function statusSocketPath(dataDir: string): string {
  const inside = join(resolve(dataDir), 'agent.sock');
  if (process.platform !== 'win32' && Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) {
    return inside;
  }
  const id = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16);
  return process.platform === 'win32'
    ? `\\\\.\\pipe\\runnel-agent-${id}`
    : join(tmpdir(), `runnel-agent-${id}.sock`);
}
