/** The built agent as a process, the way a person and a service manager meet it. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { enrol } from '@runnel/agent/sync/enrolment.ts';
import { jsonPoster } from '@runnel/agent/sync/http-json.ts';
import { startEnrolmentServer } from '../../support/enrolment-server.ts';
import { freePort } from '../../support/free-port.ts';
import { bins, start, type Started } from '../../support/processes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { joinToken, openTestIdentity } from '../../support/test-identity.ts';
import { waitFor } from '../../support/wait-for.ts';

const execute = promisify(execFile);

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function agent(...args: string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await execute(process.execPath, [bins.agent, ...args]);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

let dataDir: string;
beforeEach(() => {
  dataDir = join(tempDir('agent'), 'data');
});

async function enrolled(): Promise<void> {
  const identity = await openTestIdentity();
  const { url } = await startEnrolmentServer(identity);
  const token = await joinToken(identity);
  const post = jsonPoster({ baseUrl: url });
  const labels = { site: 'lyon' };
  await enrol({ url, token, dataDir, hostName: 'press', labels, clock: systemClock, post });
}

function run(...args: string[]): Started {
  const started = start(bins.agent, ['run', '--data', dataDir, ...args], join(dataDir, 'log'));
  onTestFinished(() => started.end('SIGKILL'));
  return started;
}
const running = (started: Started) =>
  waitFor('the agent', () => started.output().includes('agent started'));

describe('the command line', () => {
  it('says its version, its help and what it offers', async () => {
    expect((await agent('--version')).out).toMatch(/^runnel-agent \d+\.\d+\.\d+/);
    const help = await agent('--help');
    expect(help.code).toBe(0);
    for (const command of ['enroll', 'run', 'status', 'dry-run', 'test', 'describe']) {
      expect(help.out).toContain(command);
    }
    const described = JSON.parse((await agent('describe', '-o', 'json')).out) as {
      sources: { name: string }[];
    };
    expect(described.sources.map(({ name }) => name)).toContain('host');
  });

  it('answers wrong usage with exit code 2 and what is right', async () => {
    expect((await agent('fly')).code).toBe(2);
    expect(await agent('run')).toMatchObject({ code: 2, err: expect.stringMatching(/--data/) });
    const bad = await agent('run', '--data', dataDir, '--metrics', 'nowhere');
    expect(bad).toMatchObject({ code: 2, err: expect.stringMatching(/HOST:PORT/) });
    const label = await agent(
      'enroll',
      '--url',
      'http://x',
      '--token',
      't',
      '--data',
      dataDir,
      '--label',
      'x',
    );
    expect(label).toMatchObject({ code: 2, err: expect.stringMatching(/KEY=VALUE/) });
  });

  it('says how to enrol a directory that is not', async () => {
    const ended = await agent('run', '--data', dataDir);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/not enrolled[^]*runnel-agent enroll --url/);
    expect((await agent('status', '--data', dataDir)).err).toMatch(/not enrolled/);
  });

  it('names file, line and key of what is wrong in agent.yaml', async () => {
    await enrolled();
    const path = join(dataDir, 'agent.yaml');
    writeFileSync(path, readFileSync(path, 'utf8').replace('log: {', 'logg: {'));
    const ended = await agent('run', '--data', dataDir);
    expect(ended.code).toBe(2);
    expect(ended.err).toMatch(/agent\.yaml: logg \(line \d+, column 1\): unknown key "logg"/);
    expect(ended.err).toMatch(/log/);
  });

  it('a policy.yaml that does not pass stops the agent rather than mean nothing', async () => {
    await enrolled();
    writeFileSync(
      join(dataDir, 'policy.yaml'),
      'apiVersion: runnel/v1\nkind: AgentPolicy\npaths: /\n',
    );
    const ended = await agent('run', '--data', dataDir);
    expect(ended.code).toBe(2);
    expect(ended.err).toMatch(/policy\.yaml: paths \(line 3/);
  });
});

describe('a running agent', () => {
  it('runs without a network, answers status, and ends cleanly on SIGTERM', async () => {
    await enrolled();
    const down = await agent('status', '--data', dataDir);
    expect(down).toMatchObject({ code: 3, out: expect.stringMatching(/not running/) });
    const started = run();
    await running(started);
    const up = await agent('status', '--data', dataDir, '-o', 'json');
    expect(up.code).toBe(0);
    const status = JSON.parse(up.out) as Record<string, unknown>;
    expect(status).toMatchObject({
      running: true,
      pid: started.child.pid,
      name: 'press',
      labels: { site: 'lyon' },
      jobs: [],
    });
    expect(up.out).not.toMatch(/SU[A-Z2-7]{20}|eyJ/);
    await started.end('SIGTERM');
    expect(started.child.exitCode).toBe(0);
    expect(started.output()).toContain('agent stopped');
    expect(existsSync(join(dataDir, 'agent.lock'))).toBe(false);
    expect((await agent('status', '--data', dataDir)).code).toBe(3);
  });

  it('refuses a second agent on its directory, by name and with what to do', async () => {
    await enrolled();
    const started = run();
    await running(started);
    const second = await agent('run', '--data', dataDir);
    expect(second.code).toBe(1);
    expect(second.err).toMatch(/already runs on[^]*another --data directory/);
    expect(started.running()).toBe(true);
    expect((await agent('status', '--data', dataDir)).code).toBe(0);
  });

  it('starts again after SIGKILL, over the lock and socket that it left', async () => {
    await enrolled();
    const first = run();
    await running(first);
    await first.end('SIGKILL');
    expect((await agent('status', '--data', dataDir)).code).toBe(3);
    const second = run();
    await waitFor('the agent', async () => (await agent('status', '--data', dataDir)).code === 0);
    await second.end('SIGINT');
    expect(second.child.exitCode).toBe(0);
  });

  it('serves metrics only where and when it is asked to', async () => {
    await enrolled();
    const port = await freePort();
    const started = run('--metrics', `127.0.0.1:${port}`);
    await running(started);
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(response.headers.get('content-type')).toContain('version=0.0.4');
    const text = await response.text();
    expect(text).toMatch(/^runnel_agent_info\{version="\d/m);
    expect(text).toMatch(/^runnel_agent_resident_memory_bytes \d+$/m);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
    await started.end('SIGTERM');
  });

  it('a path too long for a socket still has status', async () => {
    dataDir = join(tempDir('agent'), 'x'.repeat(120));
    await enrolled();
    const started = run();
    await running(started);
    expect((await agent('status', '--data', dataDir)).code).toBe(0);
    await started.end('SIGTERM');
  });
});
