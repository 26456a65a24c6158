/**
 * Brings the account's JWT (with its revocations) to the resolver of the NATS server, which then
 * cuts the live connections of revoked devices.
 *
 * The newest JWT is pushed again on every reconnection, so that a push that failed, or a server
 * that came back with an older copy, heals by itself.
 */
import type { Logger } from 'pino';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { type LinkOptions, NatsLink } from './nats-link.ts';

const SUBJECT = '$SYS.REQ.CLAIMS.UPDATE';
const RETRY_MS = 5000;

export class AccountPusher {
  readonly #log: Logger;
  #link: NatsLink | undefined;
  #newest: string | undefined;
  #stopWatching: () => void = () => undefined;
  #cancelRetry: () => void = () => undefined;
  #after: LinkOptions['clock']['after'] = () => () => undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Connects as the system user and pushes what came before, else `account`: a server that others
   * run may have begun with an old one.
   */
  async connect(options: LinkOptions, account: string): Promise<void> {
    this.#newest ??= account;
    const link = await NatsLink.connect(options);
    this.#link = link;
    this.#after = (ms, run) => options.clock.after(ms, run);
    this.#stopWatching = link.onStatus(({ kind }) => {
      if (kind === 'connected') void this.#pushAgain();
    });
    await this.#pushAgain();
  }

  /**
   * Resolves when the server has it. Error `nats_push`: it has not yet, and gets it as soon as the
   * connection is back or the server answers.
   */
  async push(jwt: string): Promise<void> {
    this.#newest = jwt;
    this.#cancelRetry();
    try {
      await this.#send(jwt);
    } catch (error) {
      this.#pushLater();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#stopWatching();
    const link = this.#link;
    this.#link = undefined;
    this.#cancelRetry();
    await link?.close();
  }

  async #send(jwt: string): Promise<void> {
    if (this.#link === undefined || !this.#link.connected) {
      throw new RunnelError('nats_push', 'NATS is not connected; the account is pushed later', {
        retry: 'backoff',
      });
    }
    const answer = Buffer.from(await this.#link.request(SUBJECT, jwt)).toString('utf8');
    const { error } = JSON.parse(answer) as { error?: { description?: string } };
    if (error !== undefined) {
      throw new RunnelError('nats_push', `the resolver refused the account: ${answer}`);
    }
  }

  /** Reconnection is one reason to try again; a connected server that failed is another. */
  #pushLater(): void {
    if (this.#link === undefined) return;
    this.#cancelRetry = this.#after(RETRY_MS, () => void this.#pushAgain());
  }

  async #pushAgain(): Promise<void> {
    if (this.#newest === undefined) return;
    await this.push(this.#newest).catch((error: unknown) => {
      this.#log.error({ error: messageOf(error) }, 'the account was not pushed to NATS yet');
    });
  }
}
