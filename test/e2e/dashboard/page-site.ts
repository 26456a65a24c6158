/**
 * A control plane as users run it, with the built page, on free ports and in a directory of its
 * own; it can be killed and started again on its data. Everything ends with the test.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { bins, runBin, start, type Started } from '../../support/processes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

export class PageSite {
  readonly dir = tempDir('page');
  readonly url: string;
  readonly #natsListen: string;
  #control: Started | undefined;

  private constructor(httpPort: number, natsPort: number) {
    this.url = `http://127.0.0.1:${httpPort}`;
    this.#natsListen = `127.0.0.1:${natsPort}`;
  }

  static async start(): Promise<PageSite> {
    const site = new PageSite(await freePort(), await freePort());
    onTestFinished(() => site.stop());
    await site.startControl();
    return site;
  }

  async startControl(): Promise<void> {
    const http = this.url.slice('http://'.length);
    // What was packaged in this checkout would make the page show another command.
    const noPackages = ['--packages', join(this.dir, 'packages')];
    const listen = ['--http', http, '--nats-listen', this.#natsListen];
    const args = ['serve', '--data', this.#data, ...listen, ...noPackages];
    this.#control = start(bins.control, args, join(this.dir, 'control.log'));
    await waitFor(
      'the control plane',
      async () => (await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1000) })).ok,
      60_000,
    );
  }

  /** SIGKILL: the page gets no goodbye. Its nats-server, which nobody ends then, goes too. */
  async killControl(): Promise<void> {
    await this.#control?.end('SIGKILL');
    const { pid } = JSON.parse(readFileSync(join(this.#data, 'nats/server.json'), 'utf8')) as {
      readonly pid: number;
    };
    process.kill(pid, 'SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#control?.end('SIGTERM');
  }

  /** A link that signs a browser in once, as its owner asks for one on the machine itself. */
  signInLink(): string {
    const printed = runBin('control', ['sign-in-link', '--data', this.#data]);
    const link = /https?:\/\/\S+\/signin\?code=\S+/.exec(printed)?.[0];
    if (link === undefined) throw new Error(`no link in ${printed}`);
    return link;
  }

  /** A request with the admin token; throws on any answer but 2xx. */
  async api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const token = readFileSync(join(this.#data, 'admin-token'), 'utf8').trim();
    const isText = typeof body === 'string';
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined
          ? {}
          : { 'content-type': isText ? 'application/yaml' : 'application/json' }),
      },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  async joinToken(): Promise<string> {
    const body = { role: 'agent', uses: 1000, expiresMs: 3_600_000 };
    return (await this.api<{ token: string }>('POST', '/tokens', body)).token;
  }

  get #data(): string {
    return join(this.dir, 'control');
  }
}
