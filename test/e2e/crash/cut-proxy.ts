/**
 * A TCP proxy between agent and broker that can cut the connection at the worst instant: when the
 * agent's PUBACKs have left its process, and before the broker has them. The commit that they
 * acknowledge is on disk, so the broker redelivers what must not be counted again.
 */
import { type Server, type Socket, connect, createServer } from 'node:net';

const PUBACK = 0x40;

export class CutProxy {
  /** Connections cut with PUBACKs in the air. */
  cuts = 0;
  #armed = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(targetPort: number) {
    this.#server = createServer((agent) => this.#join(agent, connect(targetPort, '127.0.0.1')));
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

  #join(agent: Socket, broker: Socket): void {
    const end = (): void => {
      agent.destroy();
      broker.destroy();
      this.#sockets.delete(agent);
      this.#sockets.delete(broker);
    };
    for (const socket of [agent, broker]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    broker.pipe(agent);
    agent.on('data', (bytes) => {
      if (this.#armed && ((bytes[0] ?? 0) & 0xf0) === PUBACK) {
        this.#armed = false;
        this.cuts += 1;
        end();
        return;
      }
      broker.write(bytes);
    });
  }
}
