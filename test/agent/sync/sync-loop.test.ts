import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { DesiredDocument } from '@runnel/shared/protocol/desired.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import { seededRandom } from '@runnel/shared/random.ts';
import { dataFiles } from '@runnel/agent/config/data-files.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { CredentialStore } from '@runnel/agent/sync/credential-store.ts';
import { DesiredStore } from '@runnel/agent/sync/desired.ts';
import { TrustStore } from '@runnel/agent/sync/trust-store.ts';
import { deviceKey } from '@runnel/agent/sync/device-key.ts';
import { type AgentState, HeartbeatLoop } from '@runnel/agent/sync/heartbeat.ts';
import type { PostJson } from '@runnel/agent/sync/http-json.ts';
import type { Link, LinkOptions } from '@runnel/agent/sync/link.ts';
import { ResultsSender } from '@runnel/agent/sync/results-sender.ts';
import { SyncLoop } from '@runnel/agent/sync/sync-loop.ts';
import type { Trouble } from '@runnel/agent/sync/sync-state.ts';
import { newDeviceKey, silentLog } from '../../support/nats.ts';
import { SigningAuthority } from '../../support/signing-authority.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

const agent = 'a1' as AgentId;
const forever = { issuedAt: 0, expiresAt: 9e12 };

/** A connection whose every answer the test holds in its hand. */
class HeldLink implements Link {
  readonly server = 'test';
  readonly closed: Promise<Trouble>;
  readonly asked: { kind: string; body: unknown; answer: (reply: unknown) => void }[] = [];
  readonly beats: unknown[] = [];
  readonly command: LinkOptions['onCommand'];
  readonly denied: LinkOptions['onDenied'];
  end: (trouble: Trouble) => void = () => undefined;
  readonly #rejects: ((error: Error) => void)[] = [];

  constructor(options: LinkOptions) {
    this.command = options.onCommand;
    this.denied = options.onDenied;
    this.closed = new Promise((resolve) => {
      this.end = (trouble) => {
        resolve(trouble);
        for (const reject of this.#rejects) reject(new RunnelError('link_request', 'gone'));
      };
    });
  }

  request(kind: string, body: Uint8Array): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#rejects.push(reject);
      const parsed = JSON.parse(Buffer.from(body).toString('utf8')) as unknown;
      this.asked.push({ kind, body: parsed, answer: resolve });
    });
  }

  heartbeat(body: Uint8Array): void {
    this.beats.push(JSON.parse(Buffer.from(body).toString('utf8')));
  }

  close(): Promise<void> {
    this.end({ kind: 'network', message: 'closed' });
    return Promise.resolve();
  }

  desired(at = 0) {
    return this.asked.filter(({ kind }) => kind === 'desired')[at];
  }
}

const idle: AgentState = {
  observedRevision: 0,
  observedHash: '',
  capabilities: [],
  conditions: [],
  jobs: [],
  sources: [],
  outbox: { rows: 0, bytes: 0, oldestAt: null, lost: 0 },
  counters: {},
  host: {
    cpuPercent: null,
    memoryUsedBytes: null,
    memoryTotalBytes: null,
    diskUsedBytes: null,
    diskTotalBytes: null,
    temperatureCelsius: null,
    load1: null,
    agentRssBytes: 1,
    agentCpuPercent: null,
  },
};

let authority: SigningAuthority;
let dir: string;
let links: HeldLink[];
let applied: DesiredDocument[];
let conditions: Conditions;
let heartbeat: HeartbeatLoop;
let post: PostJson;
let loop: SyncLoop | null = null;
beforeEach(() => {
  authority = new SigningAuthority();
  dir = tempDir('sync');
  links = [];
  applied = [];
  conditions = new Conditions(systemClock);
  post = () => Promise.reject(new RunnelError('unreachable', 'no http here'));
});
afterEach(() => loop?.stop());

const credentials: Credentials = { jwt: 'x', ...forever, natsUrls: ['nats://x'], natsCa: null };
const path = () => join(dir, 'desired.json');

function startLoop(current: Credentials | null = credentials): SyncLoop {
  const { seed } = newDeviceKey();
  const rootFingerprint = authority.fingerprint;
  const files = dataFiles(dir);
  const trust = new TrustStore({ files, rootFingerprint, stored: null });
  const desired = new DesiredStore({ agent, trust, path: path() });
  const shared = { clock: systemClock, random: seededRandom(3), log: silentLog };
  heartbeat = new HeartbeatLoop({
    ...shared,
    agent,
    epoch: 'e',
    startedAt: systemClock.now(),
    intervalMs: 60_000,
    read: () => Promise.resolve(idle),
    sent: () => undefined,
  });
  const outbox = {
    next: () => undefined,
    hasMore: () => false,
    acknowledge: () => Promise.resolve(),
    onCommitted: () => () => undefined,
  };
  loop = new SyncLoop({
    ...shared,
    agent,
    conditions,
    key: deviceKey(seed),
    connect: (options) => {
      const link = new HeldLink(options);
      links.push(link);
      return Promise.resolve(link);
    },
    post: (...given) => post(...given),
    credentials: new CredentialStore({ files, current, trust }),
    desired,
    heartbeat,
    sender: new ResultsSender({ ...shared, outbox, bucket: null }),
    apply: (document) => {
      // The proof of "on disk before it is applied": what is applied can be read from there.
      expect(readFileSync(path(), 'utf8')).toContain(`\\"revision\\":${document.revision}`);
      applied.push(document);
      return Promise.resolve();
    },
    batchCommand: () => Promise.reject(new RunnelError('job_unknown', 'no batch jobs here')),
  });
  loop.start();
  return loop;
}

const link = (at: number): Promise<HeldLink> => waitFor(`connection ${at}`, () => links[at]);
const asked = async (of: HeldLink, at = 0) => waitFor('a request', () => of.desired(at));
const newer = (revision: number) => {
  return { v: 1, status: 'new', desired: authority.desired({ agent, revision }) };
};

describe('a healthy connection', () => {
  it('an accepted document is on disk before it is applied, and then reported', async () => {
    const running = startLoop();
    const first = await link(0);
    const request = await asked(first);
    expect(request.body).toMatchObject({ agent, revision: 0, told: 0, hash: '' });
    request.answer(newer(4));
    await waitFor('the document', () => applied.length === 1);
    await waitFor('synced', () => running.state.kind === 'synced');
    first.command('changed', Buffer.from('{"v":1,"revision":5}'));
    const second = await asked(first, 1);
    expect(second.body).toMatchObject({ revision: 4, told: 5 });
    expect((second.body as { hash: string }).hash).toHaveLength(64);
  });

  it('beats at once, and reports a change of a job at once', async () => {
    startLoop();
    const first = await link(0);
    const [beat] = await waitFor('a beat', () => first.beats.length > 0 && first.beats);
    expect(beat).toMatchObject({ v: 1, agent, epoch: 'e', seq: 1 });
    heartbeat.jobChanged();
    const report = await waitFor('a report', () =>
      first.asked.find(({ kind }) => kind === 'state'),
    );
    expect(report.body).toMatchObject({ agent, seq: 2 });
    report.answer({ v: 1 });
  });

  it('a denied subject is a condition until the next connection', async () => {
    startLoop();
    const first = await link(0);
    first.denied('Permissions Violation for Publish to "x"');
    expect(conditions.list()).toMatchObject([
      { type: 'connection/denied', severity: 'error', reason: 'PermissionDenied' },
    ]);
    first.end({ kind: 'expired', message: 'over' });
    await link(1);
    await waitFor('cleared', () => !conditions.list().some(({ type }) => /denied/.test(type)));
  });

  it('a command that is nonsense is passed over', async () => {
    const running = startLoop();
    const first = await link(0);
    (await asked(first)).answer({ v: 1, status: 'same' });
    await waitFor('synced', () => running.state.kind === 'synced');
    first.command('changed', Buffer.from('not json'));
    first.command('fly', Buffer.from('{}'));
    expect(running.state.kind).toBe('synced');
  });
});

describe('a refused document', () => {
  it('is not applied, not stored, and shows as a condition until a good one comes', async () => {
    const running = startLoop();
    const first = await link(0);
    const desired = { ...authority.desired({ agent, revision: 4 }), signature: 'forged' };
    (await asked(first)).answer({ v: 1, status: 'new', desired });
    await waitFor('the condition', () => conditions.list().some(({ type }) => type === 'desired'));
    expect(conditions.list()).toMatchObject([{ severity: 'error', reason: 'DesiredRefused' }]);
    expect(applied).toEqual([]);
    expect(existsSync(path())).toBe(false);
    first.command('changed', Buffer.from('{"v":1,"revision":5}'));
    (await asked(first, 1)).answer(newer(5));
    await waitFor('synced', () => running.state.kind === 'synced');
    await waitFor('the condition to go', () => conditions.list().length === 0);
  });
});

describe('a lost connection', () => {
  it('comes back by itself, and says only that it is away', async () => {
    const running = startLoop();
    const first = await link(0);
    (await asked(first)).answer(newer(4));
    await waitFor('synced', () => running.state.kind === 'synced');
    first.end({ kind: 'network', message: 'cable pulled' });
    await waitFor('the condition', () => conditions.list().length === 1);
    expect(conditions.list()).toMatchObject([{ severity: 'info', reason: 'Disconnected' }]);
    const second = await link(1);
    expect((await asked(second)).body).toMatchObject({ revision: 4 });
  });

  it('an answer that belongs to an earlier connection is dropped', async () => {
    const running = startLoop();
    const first = await link(0);
    const late = await asked(first);
    first.end({ kind: 'network', message: 'gone' });
    const second = await link(1);
    const fresh = await asked(second);
    late.answer({ v: 1, status: 'same' });
    expect(running.state.kind).toBe('asking');
    fresh.answer(newer(2));
    await waitFor('the document', () => applied.length === 1);
  });
});

describe('credentials', () => {
  it('of a device that waits for a person are asked for until they come', async () => {
    let tries = 0;
    post = (url) => {
      if (url.endsWith('nonce')) return Promise.resolve({ v: 1, nonce: 'n' });
      tries += 1;
      return tries === 1
        ? Promise.reject(new RunnelError('agent_pending', 'not approved yet'))
        : Promise.resolve({ v: 1, keys: authority.keyList(2), credentials });
    };
    startLoop(null);
    await waitFor('the condition', () => conditions.list()[0]?.reason === 'ApprovalPending');
    const first = await link(0);
    await asked(first);
    expect(readFileSync(join(dir, 'identity/credentials.json'), 'utf8')).toContain('"jwt"');
    expect(readFileSync(join(dir, 'identity/trust.json'), 'utf8')).toContain('sequence');
  });

  it('that a list of keys from nobody comes with are not taken', async () => {
    const other = new SigningAuthority();
    post = (url) =>
      Promise.resolve(
        url.endsWith('nonce')
          ? { v: 1, nonce: 'n' }
          : { v: 1, keys: other.keyList(2), credentials },
      );
    startLoop(null);
    await waitFor('the condition', () => conditions.list()[0]?.reason === 'DesiredRefused');
    expect(existsSync(join(dir, 'identity/credentials.json'))).toBe(false);
    expect(links).toEqual([]);
  });

  it('are renewed over the connection at two thirds of their life', async () => {
    const now = Date.now();
    startLoop({ ...credentials, issuedAt: now - 900, expiresAt: now + 100_000_000 });
    const first = await link(0);
    expect(first.asked.some(({ kind }) => kind === 'renew')).toBe(false);
    await loop?.stop();
    startLoop({ ...credentials, issuedAt: now - 90_000, expiresAt: now + 10_000 });
    const second = await link(1);
    const renew = await waitFor('renewal', () => second.asked.find(({ kind }) => kind === 'renew'));
    const life = { issuedAt: now, expiresAt: now + 200_000 };
    renew.answer({ v: 1, keys: authority.keyList(), credentials: { ...credentials, ...life } });
    await waitFor('the new credentials', () => {
      return loop?.state.life?.expiresAt === life.expiresAt;
    });
  });
});

it('stopping closes the connection and is quick', async () => {
  const running = startLoop();
  const first = await link(0);
  const began = performance.now();
  await running.stop();
  expect(await first.closed).toMatchObject({ message: 'closed' });
  expect(running.state.kind).toBe('stopped');
  expect(performance.now() - began).toBeLessThan(2000);
});
