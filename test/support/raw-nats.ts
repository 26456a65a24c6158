/**
 * A NATS connection that says what a test writes, byte for byte: what no library would let a device
 * say, a hostile one can. Authenticated as a device is; closed with the test.
 */
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { onTestFinished } from 'vitest';
import { deviceKey } from '@runnel/agent/sync/device-key.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import type { DeviceKey } from './nats.ts';
import { waitFor } from './wait-for.ts';

export class RawNats {
  /** Everything that the server said, in its own words. */
  heard = '';
  closed = false;
  readonly #socket: Socket;

  /** Rejects when the server refuses the credentials. */
  static async open(credentials: Pick<Credentials, 'jwt' | 'natsUrls'>, key: DeviceKey) {
    const { hostname, port } = new URL(credentials.natsUrls[0]!);
    const socket = connect(Number(port), hostname);
    const raw = new RawNats(socket);
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    const nonce = await waitFor('the greeting', () => /"nonce":"([^"]+)"/.exec(raw.heard)?.[1]);
    const sig = deviceKey(key.seed).proof(nonce);
    const hello = { jwt: credentials.jwt, sig, lang: 'raw', version: '0', protocol: 1 };
    const more = { verbose: false, pedantic: false, headers: true, no_responders: true };
    raw.write(`CONNECT ${JSON.stringify({ ...hello, ...more })}\r\n`);
    await raw.settled();
    if (raw.closed) throw new Error(raw.heard);
    return raw;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => (this.heard += bytes.toString('utf8')));
    socket.on('close', () => (this.closed = true));
    // A server that cuts the connection off may reset it; `closed` says so.
    socket.on('error', (error) => (this.heard += `\r\n${error.message}`));
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  publish(subject: string, body = 'x', reply = ''): void {
    const to = reply === '' ? subject : `${subject} ${reply}`;
    this.write(`PUB ${to} ${Buffer.byteLength(body)}\r\n${body}\r\n`);
  }

  /** The server has judged everything that was written before, or has cut the connection. */
  async settled(): Promise<void> {
    const before = this.#pongs();
    this.write('PING\r\n');
    await waitFor('the server', () => this.closed || this.#pongs() > before);
  }

  /** What the server refused since it was last asked, one line each. */
  refusals(): string[] {
    const lines = this.heard.match(/-ERR '[^\r]*'/g) ?? [];
    this.heard = this.heard.replaceAll(/-ERR '[^\r]*'\r\n/g, '');
    return lines;
  }

  #pongs(): number {
    return this.heard.match(/PONG\r\n/g)?.length ?? 0;
  }
}
