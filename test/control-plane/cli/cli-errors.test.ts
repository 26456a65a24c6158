/** What `runnel` says and how it ends when something is wrong before or on the way to a server. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { runnel } from './cli-terminal.ts';

const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: one }
sources: { a: { host: {} } }
steps: [{ filter: "true" }]
`;

/** A server that is not a control plane, or one that answers something odd. */
async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('usage', () => {
  test.each([
    [['frob'], 'unknown command'],
    [['get', 'agnets'], 'Did you mean agents'],
    [['apply'], '--file'],
    [['token', 'create'], '--role'],
    [['token', 'create', '--role', 'king'], 'Allowed choices'],
    [['token', 'create', '--role', 'viewer', '--uses', '1'], '--role agent'],
    [['token', 'create', '--role', 'agent', '--expires', 'soon'], '1h or 7d'],
    [['token', 'create', '--role', 'agent', '--uses', '0'], 'whole number'],
    [['token', 'create', '--role', 'agent', '--labels', 'a'], 'site=lyon'],
    [['results', 'd', '--since', 'yesterday'], '10m'],
    [['results', 'd', '--limit', 'x'], 'whole number of rows'],
    [['get', 'jobs', '-o', 'xml'], 'Allowed choices'],
    [['get', 'jobs', '--url', 'nonsense'], 'is no URL'],
  ])('%j ends with 2 and says what fits', async (args, hint) => {
    const { code, out, err } = await runnel(args);
    expect(code).toBe(2);
    expect(err).toContain(hint);
    expect(out).toBe('');
  });

  test('help is no error and names the exit codes', async () => {
    const { code, out } = await runnel(['--help']);
    expect(code).toBe(0);
    expect(out).toContain('3  the control plane cannot be reached');
    expect(await runnel(['--version'])).toMatchObject({ code: 0, out: '0.0.0\n' });
  });
});

describe('documents', () => {
  test('every mistake of every file is told with file, line, column and key', async () => {
    const dir = tempDir('jobs');
    writeFileSync(join(dir, 'a.yaml'), JOB.replace('filter:', 'filtre:'));
    writeFileSync(
      join(dir, 'b.yml'),
      `${JOB}---\n${JOB.replace('one', 'two').replace('host', 'hots')}`,
    );
    writeFileSync(join(dir, 'c.test.yaml'), 'not a job');
    writeFileSync(join(dir, 'notes.txt'), 'not a job');
    mkdirSync(join(dir, 'd.yaml.d'));
    const { code, err } = await runnel(['validate', '-f', dir]);
    expect(code).toBe(2);
    expect(err.trim().split('\n')).toEqual([
      `${dir}/a.yaml:5:11: steps[0].filtre: unknown operator "filtre" (did you mean "filter"?)`,
      `${dir}/b.yml:10:17: sources.a.hots: unknown key "hots" (did you mean "host"?)`,
    ]);
  });

  test('an expression that does not compile is found without a server', async () => {
    const { code, err } = await runnel(['validate', '-f', '-'], {
      input: JOB.replace('"true"', '"payloda.x > 1"'),
    });
    expect(code).toBe(2);
    expect(err).toMatch(/^\(standard input\):5:\d+: steps\[0\]\.filter: .*payloda.*did you mean/);
  });

  test('lines of the second document of a file are those of the file', async () => {
    const { err } = await runnel(['validate', '-f', '-'], {
      input: `${JOB}---\n${JOB.replace('one', 'two').replace('"true"', '"payload."')}`,
    });
    expect(err).toMatch(/^\(standard input\):11:/);
  });

  test('one name in two documents is refused', async () => {
    const { code, err } = await runnel(['validate', '-f', '-'], { input: `${JOB}---\n${JOB}` });
    expect(code).toBe(2);
    expect(err).toContain('"one" is also in');
  });

  test('a file that cannot be read and a directory without jobs are usage errors', async () => {
    expect(await runnel(['apply', '-f', '/nonexistent.yaml'])).toMatchObject({ code: 2 });
    expect(await runnel(['apply', '-f', tempDir('empty')])).toMatchObject({ code: 2 });
  });

  test('programs get the issues as JSON', async () => {
    const { out } = await runnel(['validate', '-f', '-', '-o', 'json'], { input: 'kind: 5\n' });
    expect(JSON.parse(out)).toMatchObject({
      error: { code: 'definition_invalid', issues: expect.any(Array) as unknown },
    });
  });
});

describe('the way to the server', () => {
  test('nothing there ends with 3 and says where the address comes from', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, err } = await runnel(['get', 'jobs'], { env: { RUNNEL_URL: url } });
    expect(code).toBe(3);
    expect(err).toContain(`cannot reach ${url}: ECONNREFUSED`);
    expect(err).toContain('RUNNEL_URL');
  });

  test('a server that is no control plane is told as such', async () => {
    const url = await serving((_, response) => response.end('<html>hello</html>'));
    const { code, err } = await runnel(['get', 'jobs', '--url', url]);
    expect(code).toBe(1);
    expect(err).toContain('is this the address of a Runnel control plane?');
  });

  test('an error page of a proxy ends with 1 and the status', async () => {
    const url = await serving((_, response) => response.writeHead(502).end('<html>bad</html>'));
    const { code, err } = await runnel(['get', 'jobs', '--url', url]);
    expect(code).toBe(1);
    expect(err).toContain('502');
  });

  test('a connection that breaks in the middle of an answer ends with 3', async () => {
    const url = await serving((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"items"');
      setImmediate(() => response.destroy());
    });
    expect(await runnel(['get', 'jobs', '--url', url])).toMatchObject({ code: 3 });
  });

  test('names from devices cannot write to the screen', async () => {
    const name = 'x\u001B[2Jy\nz';
    const agent = {
      id: 'a',
      name,
      labels: {},
      status: 'approved',
      connection: 'online',
      version: '1',
      lastSeenAt: null,
      conditions: [],
      jobs: [],
      health: { state: 'error', axis: 'jobs', since: null, cause: name, axes: {} },
    };
    const url = await serving((_, response) => response.end(JSON.stringify({ items: [agent] })));
    const { out } = await runnel(['get', 'agents', '--url', url]);
    expect(out).not.toContain('\u001B');
    expect(out.trim().split('\n')).toHaveLength(2);
  });
});

describe('handing over to the agent', () => {
  test('options pass through as they are, and its exit code is ours', async () => {
    const env = { RUNNEL_AGENT: '/opt/runnel-agent' };
    const args = ['dry-run', 'job.yaml', '--input', 'a=x.jsonl', '--no-flush', '--help'];
    const { code, handedOver } = await runnel(args, { env });
    expect(code).toBe(7);
    expect(handedOver).toEqual([['/opt/runnel-agent', ...args]]);
  });

  test('a launcher in JavaScript runs under our own Node', async () => {
    const env = { RUNNEL_AGENT: '/opt/agent.js' };
    const { handedOver } = await runnel(['test', 'job.yaml'], { env });
    expect(handedOver).toEqual([[process.execPath, '/opt/agent.js', 'test', 'job.yaml']]);
  });

  test('beside us before the PATH, and a clear error when there is none', async () => {
    const root = tempDir('agent');
    mkdirSync(join(root, 'agent/bin'), { recursive: true });
    writeFileSync(join(root, 'agent/bin/runnel-agent.js'), '');
    writeFileSync(join(root, 'runnel-agent'), '');
    const beside = await runnel(['test', 'x'], { home: join(root, 'control-plane/dist') });
    expect(beside.handedOver[0]?.[1]).toBe(join(root, 'agent/bin/runnel-agent.js'));
    const onPath = await runnel(['test', 'x'], { env: { PATH: `/nowhere:${root}` } });
    expect(onPath.handedOver[0]?.[0]).toBe(join(root, 'runnel-agent'));
    const missing = await runnel(['test', 'x'], { env: { PATH: '' } });
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.err).toContain('RUNNEL_AGENT');
  });
});
