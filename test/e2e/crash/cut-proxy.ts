/**
 * A TCP proxy that can cut the connection at the worst instant: when the agent's PUBACKs have left
 * its process, and before the other side has them. The commit that they acknowledge is on disk, so
 * what is sent again must not be counted again. It stands between agent and mosquitto, or between
 * a publisher and the agent's embedded broker.
 */
import { type Server, type Socket, connect, createServer } from 'node:net';

const PUBACK = 0x40;

export class CutProxy {
  /** Connections cut with PUBACKs in the air. */
  cuts = 0;
  #armed = false;
  readonly #acknowledges: 'client' | 'server';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** `acknowledges`: the side whose PUBACKs are cut off. */
  constructor(targetPort: number, acknowledges: 'client' | 'server') {
    this.#acknowledges = acknowledges;
    this.#server = createServer((client) => this.#join(client, connect(targetPort, '127.0.0.1')));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  /** The next PUBACKs of the agent are thrown away and the connection is cut. */
  arm(): void {
    this.#armed = true;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #join(client: Socket, server: Socket): void {
    const end = (): void => {
      client.destroy();
      server.destroy();
      this.#sockets.delete(client);
      this.#sockets.delete(server);
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    const [from, to] = this.#acknowledges === 'client' ? [client, server] : [server, client];
    to.pipe(from);
    from.on('data', (bytes) => {
      if (this.#armed && ((bytes[0] ?? 0) & 0xf0) === PUBACK) {
        this.#armed = false;
        this.cuts += 1;
        end();
        return;
      }
      to.write(bytes);
    });
  }
}
