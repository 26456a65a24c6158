/**
 * The whole control plane in this process: real store, identity, nats-server and HTTP on free
 * ports of 127.0.0.1, in a temporary directory. Whoever starts one closes it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '@runnel/control-plane/main.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { limits } from '@runnel/shared/limits.ts';
import { silentLog } from './nats.ts';

export interface ApiRequest {
  readonly token?: string | null;
  /** Sent as it is when text, else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test says what it expects of it
  readonly json: any;
}

export class TestControlPlane {
  readonly dataDir: string;
  readonly url: string;
  readonly adminToken: string;
  readonly signInLink: string | undefined;
  readonly routes: ControlPlane['routes'];
  readonly #control: ControlPlane;
  readonly #ownsDir: boolean;

  static async start(
    dataDir?: string,
    {
      nats,
      ...more
    }: Partial<
      Pick<
        ControlPlaneOptions,
        'nats' | 'keep' | 'offlineAlertAfterMs' | 'clock' | 'packages' | 'publicUrl'
      >
    > = {},
  ): Promise<TestControlPlane> {
    const dir = dataDir ?? mkdtempSync(join(tmpdir(), 'runnel-control-'));
    const control = await startControlPlane({
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
      dataDir: dir,
      http: { host: '127.0.0.1', port: 0 },
      publicUrl: undefined,
      nats: nats ?? { kind: 'own', listen: { host: '127.0.0.1', port: 0 } },
      natsAdvertise: undefined,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      env: process.env,
      signal: new AbortController().signal,
      ...more,
    });
    const token = (await readFile(join(dir, 'admin-token'), 'utf8')).trim();
    return new TestControlPlane(control, dir, token, dataDir === undefined);
  }

  private constructor(control: ControlPlane, dir: string, token: string, ownsDir: boolean) {
    this.#control = control;
    this.#ownsDir = ownsDir;
    this.dataDir = dir;
    this.url = control.url;
    this.signInLink = control.signInLink;
    this.routes = control.routes;
    this.adminToken = token;
  }

  async close(): Promise<void> {
    await this.#control.close();
    if (this.#ownsDir) rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** As admin unless another token (or null for none) is given; `path` begins with a slash. */
  async request(method: string, path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    const token = request.token === undefined ? this.adminToken : request.token;
    const json = request.body !== undefined && typeof request.body !== 'string';
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(json ? { 'content-type': 'application/json' } : {}),
        ...request.headers,
      },
      ...(request.body === undefined
        ? {}
        : { body: json ? JSON.stringify(request.body) : request.body }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const parsed: unknown = isJson && text !== '' ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json: parsed };
  }

  get(path: string, request: ApiRequest = {}): Promise<ApiAnswer> {
    return this.request('GET', `/api/v1${path}`, request);
  }

  post(path: string, body?: unknown, request: ApiRequest = {}): Promise<ApiAnswer> {
    return this.request('POST', `/api/v1${path}`, { body, ...request });
  }

  /** A bearer token of this role. */
  async token(role: 'viewer' | 'operator' | 'admin'): Promise<string> {
    const answer = await this.post('/tokens', { role });
    return answer.json.token as string;
  }

  async joinToken(more: object = {}): Promise<string> {
    return (await this.post('/tokens', { role: 'agent', ...more })).json.token as string;
  }
}
