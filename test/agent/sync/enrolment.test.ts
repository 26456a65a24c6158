import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '@runnel/control-plane/identity/identity.ts';
import { enrollCommand } from '@runnel/agent/cli/enroll.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import type { Labels } from '@runnel/shared/protocol/enrolment.ts';
import { readAgentConfig } from '@runnel/agent/config/agent-yaml.ts';
import { dataFiles } from '@runnel/agent/config/data-files.ts';
import { readDeviceIdentity } from '@runnel/agent/config/device-identity.ts';
import { enrol } from '@runnel/agent/sync/enrolment.ts';
import { jsonPoster } from '@runnel/agent/sync/http-json.ts';
import { renewOverHttp } from '@runnel/agent/sync/renewal.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import { type EnrolmentServer, startEnrolmentServer } from '../../support/enrolment-server.ts';
import { SigningAuthority, testKey } from '../../support/signing-authority.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { joinToken, openTestIdentity } from '../../support/test-identity.ts';

let identity: Identity;
let server: EnrolmentServer;
let dataDir: string;
beforeEach(async () => {
  identity = await openTestIdentity();
  server = await startEnrolmentServer(identity);
  dataDir = join(tempDir('agent'), 'data');
});

interface Given {
  readonly token: string;
  readonly url?: string;
  readonly name?: string;
  readonly labels?: Labels;
}
function run({ token, url = server.url, name, labels = {} }: Given) {
  const post = jsonPoster({ baseUrl: url });
  return enrol({ url, token, dataDir, name, hostName: 'host-1', labels, clock: systemClock, post });
}
const code = (expected: string) => expect.objectContaining({ code: expected });
const seedOf = () => readFileSync(join(dataDir, 'identity/device.seed'), 'utf8');

describe('enrolling', () => {
  it('leaves everything a run needs, and secrets that only the agent can read', async () => {
    const { identity: mine, approved } = await run({
      token: await joinToken(identity),
      labels: { site: 'lyon' },
    });
    expect(approved).toBe(true);
    const files = dataFiles(dataDir);
    const config = await readAgentConfig(files);
    expect(config.identity).toEqual({ ...mine, name: 'host-1', labels: { site: 'lyon' } });
    expect(config.broker.embedded?.listen).toEqual({ host: '127.0.0.1', port: 1883 });
    const device = await readDeviceIdentity(files, mine.rootFingerprint);
    expect(device.credentials?.natsUrls).toEqual(['nats://127.0.0.1:1']);
    for (const path of [files.seed, files.credentials, files.trust]) {
      expect(statSync(path).mode & 0o077, path).toBe(0);
    }
    expect(statSync(files.identityDir).mode & 0o077).toBe(0);
  });

  it('again is harmless: same agent, same key, edits and comments kept', async () => {
    const token = await joinToken(identity);
    const first = await run({ token, name: 'press', labels: { line: 'a' } });
    const seed = seedOf();
    const path = join(dataDir, 'agent.yaml');
    writeFileSync(
      path,
      `${readFileSync(path, 'utf8').replace('level: info', 'level: debug')}# mine\n`,
    );
    const second = await run({ token });
    expect(second.identity).toEqual(first.identity);
    expect(seedOf()).toBe(seed);
    expect(readFileSync(path, 'utf8')).toContain('# mine');
    expect((await readAgentConfig(dataFiles(dataDir))).log.level).toBe('debug');
  });

  it('says a name of the control plane without what acts on a terminal', async () => {
    server.bend = (reply) => ({ ...reply, name: 'press\u001b[2J\nroot' });
    const said: string[] = [];
    const out = (text: string): void => void said.push(text);
    const terminal = {
      out,
      err: out,
      clock: systemClock,
      random: systemRandom,
      verifyEntry: '',
      env: {},
      onInterrupt: () => () => undefined,
    };
    const token = await joinToken(identity);
    await enrollCommand(terminal, { url: server.url, token, data: dataDir, label: [] });
    expect(said[0]).toMatch(/^enrolled as press \[2J root \(/);
    expect(said.join('')).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it('repeats with the same key when the answer was lost', async () => {
    const token = await joinToken(identity);
    server.bend = () => {
      throw new Error('lost');
    };
    await expect(run({ token })).rejects.toThrow();
    const seed = seedOf();
    await expect(readAgentConfig(dataFiles(dataDir))).rejects.toThrow(code('not_enrolled'));
    server.bend = (reply) => reply;
    await run({ token });
    expect(seedOf()).toBe(seed);
  });

  it('of an enrolled device does not need the token any more', async () => {
    const token = await joinToken(identity, { usesMax: 1 });
    await run({ token });
    const again = await run({ token });
    expect(again.identity.name).toBe('host-1');
  });

  it('with a name that another key has waits for a person', async () => {
    const token = await joinToken(identity);
    await run({ token, name: 'press' });
    dataDir = join(tempDir('agent'), 'other');
    const second = await run({ token, name: 'press' });
    expect(second.approved).toBe(false);
    const files = dataFiles(dataDir);
    const { rootFingerprint } = second.identity;
    expect((await readDeviceIdentity(files, rootFingerprint)).credentials).toBeNull();
    const device = await readDeviceIdentity(files, rootFingerprint);
    const post = jsonPoster({ baseUrl: server.url });
    const agent = second.identity.agent as AgentId;
    const unknown = token.replace(/^rj1\.\w+/, 'rj1.aaaaaaaaaa');
    expect(await run({ token: unknown })).toMatchObject({ already: true, approved: false });
    await expect(renewOverHttp(post, agent, device.key)).rejects.toThrow(code('agent_pending'));
    await identity.approve(agent);
    const reply = await renewOverHttp(post, agent, device.key);
    expect(reply.credentials.expiresAt).toBeGreaterThan(Date.now());
  });
});

describe('what is refused', () => {
  it('is an answer whose root key is not the one in the token', async () => {
    server.bend = (reply) => ({ ...reply, rootKey: testKey().publicKey });
    await expect(run({ token: await joinToken(identity) })).rejects.toThrow(code('root_mismatch'));
    await expect(readAgentConfig(dataFiles(dataDir))).rejects.toThrow(code('not_enrolled'));
  });

  it('is a list of keys that somebody else signed', async () => {
    const other = new SigningAuthority();
    server.bend = (reply) => ({ ...reply, keys: other.keyList() });
    await expect(run({ token: await joinToken(identity) })).rejects.toThrow(code('root_mismatch'));
  });

  it('is a directory that belongs to another control plane', async () => {
    await run({ token: await joinToken(identity) });
    const other = await openTestIdentity();
    await expect(run({ token: await joinToken(other) })).rejects.toThrow(
      code('other_control_plane'),
    );
  });

  it('is a token that is none, unknown or expired, each by name', async () => {
    await expect(run({ token: 'nonsense' })).rejects.toThrow(code('token_malformed'));
    const token = await joinToken(identity);
    await expect(run({ token: token.slice(0, -1) })).rejects.toMatchObject({
      ...{ code: 'token_malformed', message: 'the token is damaged or cut' },
    });
    const unknown = token.replace(/^rj1\.\w+/, 'rj1.aaaaaaaaaa');
    await expect(run({ token: unknown })).rejects.toThrow(code('token_unknown'));
    const expired = await joinToken(identity, { expiresMs: -1 });
    await expect(run({ token: expired })).rejects.toThrow(code('token_expired'));
  });

  it.each(['press\n1', '\u001b[31mpress', 'press\u0085', 'press\u2028'])(
    'is the name %j, which would break the line where it is shown',
    async (name) => {
      const token = await joinToken(identity);
      await expect(run({ token, name })).rejects.toThrow(
        /must not hold control characters[^]*give another[^]*at name/,
      );
      expect(server.asked).toEqual([]);
    },
  );

  it('is an address that is not reached or speaks no TLS, with how to mend it', async () => {
    const token = await joinToken(identity);
    await expect(run({ token, url: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'unreachable',
      hint: expect.stringContaining('check the address') as unknown,
    });
    await expect(run({ token, url: server.url.replace('http', 'https') })).rejects.toMatchObject({
      code: 'tls',
      hint: expect.stringContaining('http://') as unknown,
    });
    await expect(async () => run({ token, url: 'ftp://x' })).rejects.toThrow(code('url_invalid'));
  });
});
