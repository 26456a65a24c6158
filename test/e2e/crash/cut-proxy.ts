/**
 * A TCP proxy that can cut the connection at the worst instant: when an acknowledgement has left
 * one process, and before the other has it. What it acknowledges is on disk, so what is sent
 * again must not be counted again. It stands between agent and mosquitto, between a publisher and
 * the agent's embedded broker, and between agent and nats-server.
 */
import { type Server, type Socket, connect, createServer } from 'node:net';

/** The bytes at which an armed proxy cuts. */
export type Trigger = (bytes: Buffer) => boolean;

/** PUBACK packets of MQTT: an agent writes those of a commit as one buffer. */
export const isPuback: Trigger = (bytes) => ((bytes[0] ?? 0) & 0xf0) === 0x40;
/** The control plane's answer to a block of results. */
export const isMark: Trigger = (bytes) => bytes.includes('"mark"');

export class CutProxy {
  /** Connections cut with an acknowledgement in the air. */
  cuts = 0;
  #armed = false;
  readonly #acknowledges: 'client' | 'server';
  readonly #trigger: Trigger;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #pulled = false;

  /** `acknowledges`: the side whose acknowledgements are cut off. */
  constructor(targetPort: number, acknowledges: 'client' | 'server', trigger: Trigger) {
    this.#acknowledges = acknowledges;
    this.#trigger = trigger;
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

  /** The next acknowledgement is thrown away and the connection is cut. */
  arm(): void {
    this.#armed = true;
  }

  /** As a cable that is pulled: nothing passes, and nobody is told. */
  pull(): void {
    this.#pulled = true;
  }

  /** What was lost meanwhile is lost: who was connected has to connect again. */
  plug(): void {
    this.#pulled = false;
    for (const socket of this.#sockets) socket.destroy();
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
    to.on('data', (bytes) => {
      if (!this.#pulled) from.write(bytes);
    });
    from.on('data', (bytes) => {
      if (this.#pulled) return;
      if (this.#armed && this.#trigger(bytes)) {
        this.#armed = false;
        this.cuts += 1;
        end();
        return;
      }
      to.write(bytes);
    });
  }
}
