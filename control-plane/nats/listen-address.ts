/**
 * Where the embedded NATS server listens. Devices remember the address, so a port that was chosen
 * once is kept; an address that a person gave is taken as it is or refused.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const DEFAULT: ListenAddress = { host: '127.0.0.1', port: 4222 };

/** `HOST:PORT`, `[::1]:4222`, `:4222` (every interface) or a port alone. Error: `nats_listen`. */
export function parseListen(text: string): ListenAddress {
  const found = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port < 1 || port > 65_535) {
    throw new RunnelError('nats_listen', `not an address to listen on: ${JSON.stringify(text)}`, {
      hint: 'write HOST:PORT, such as 0.0.0.0:4222',
    });
  }
  const named = found[1] ?? found[2];
  if (named === undefined) return { host: DEFAULT.host, port };
  return { host: named === '' ? '0.0.0.0' : named, port };
}

/**
 * The address given, else the port kept in `portFile`, else 4222, else a free port; what was
 * chosen is kept. Error: `nats_port_taken` when the given one is.
 */
export async function chooseListen(
  given: ListenAddress | undefined,
  portFile: string,
): Promise<{ readonly address: ListenAddress; readonly moved: boolean }> {
  if (given !== undefined) {
    if (await isFree(given)) return { address: given, moved: false };
    throw new RunnelError('nats_port_taken', `${given.host}:${given.port} is taken`, {
      hint: 'stop what listens there, or give another --nats-listen',
    });
  }
  const kept = await keptPort(portFile);
  const wanted = { ...DEFAULT, port: kept ?? DEFAULT.port };
  const address = (await isFree(wanted)) ? wanted : { ...DEFAULT, port: await freePort() };
  if (address.port !== kept) await writeFile(portFile, `${address.port}\n`);
  return { address, moved: kept !== undefined && address.port !== kept };
}

async function keptPort(portFile: string): Promise<number | undefined> {
  try {
    const port = Number(await readFile(portFile, 'utf8'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function listenOnce(address: ListenAddress): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen({ ...address, exclusive: true }, () => {
      const bound = server.address();
      const port = bound === null || typeof bound === 'string' ? undefined : bound.port;
      server.close(() => resolve(port));
    });
  });
}

async function isFree(address: ListenAddress): Promise<boolean> {
  return (await listenOnce(address)) !== undefined;
}

async function freePort(): Promise<number> {
  const port = await listenOnce({ host: DEFAULT.host, port: 0 });
  if (port === undefined) throw new RunnelError('nats_port_taken', 'this machine has no free port');
  return port;
}

/** Whether a NATS server greets at this address; `timeoutMs` bounds the wait. */
export function greets(address: ListenAddress, timeoutMs: number, clock: Clock): Promise<boolean> {
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host;
  return new Promise((resolve) => {
    const socket = connect({ host: host === '::' ? '::1' : host, port: address.port });
    let text = '';
    const cancel = clock.after(timeoutMs, () => finish(false));
    const finish = (answer: boolean): void => {
      cancel();
      socket.destroy();
      resolve(answer);
    };
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.length >= 5) finish(text.startsWith('INFO '));
    });
  });
}
