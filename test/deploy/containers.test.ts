/**
 * The container files, without a container engine: everything that they name exists, and what the
 * containers would run is run in plain directories.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { TestControlPlane } from '../support/control-plane.ts';
import { freePort } from '../support/free-port.ts';
import { ended } from '../support/installing.ts';
import { accepts } from '../support/mosquitto.ts';
import { startForeignNats } from '../support/nats.ts';
import { bins, repository, start } from '../support/processes.ts';
import { describeWith, requireProgram } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const SLOW = { timeout: 120_000 };
const folder = join(repository, 'deploy/containers');
const service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  command: z.array(z.string()).default([]),
  entrypoint: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.unknown()).default({}),
  volumes: z.array(z.string()).default([]),
});
const compose = z
  .object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.unknown()) })
  .parse(parse(readFileSync(join(folder, 'compose.yaml'), 'utf8')));

/** Instructions of a Dockerfile, continued lines joined. */
function instructions(file: string): readonly (readonly [name: string, rest: string])[] {
  const text = readFileSync(join(folder, file), 'utf8').replaceAll(/\\\n\s*/g, '');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => [line.split(' ', 1)[0]!, line.slice(line.indexOf(' ') + 1)] as const);
}

/** A PATH on which the programs of the images are. */
function programs(): string {
  const dir = join(tempDir('programs'), 'bin');
  mkdirSync(dir);
  symlinkSync(bins.control, join(dir, 'runnel-control'));
  symlinkSync(bins.agent, join(dir, 'runnel-agent'));
  return `${dir}:${dirname(process.execPath)}:${process.env.PATH}`;
}

describe('compose.yaml', () => {
  it('names only services, volumes, files and images that there are', () => {
    const built = Object.values(compose.services).filter((each) => each.build !== undefined);
    const images = new Set(built.map(({ image }) => image));
    for (const [name, each] of Object.entries(compose.services)) {
      for (const other of Object.keys(each.depends_on))
        expect(compose.services).toHaveProperty(other);
      if (each.build === undefined)
        expect(images.has(each.image) || each.image.includes(':')).toBe(true);
      else {
        expect(join(folder, each.build.context)).toBe(repository);
        expect(existsSync(join(repository, each.build.dockerfile)), name).toBe(true);
      }
      for (const volume of each.volumes) {
        const [from = ''] = volume.split(':');
        if (!from.startsWith('.')) expect(compose.volumes).toHaveProperty(from);
        // Made by `npm run package`, not committed.
        else if (!from.endsWith('.runnel/packages'))
          expect(existsSync(join(folder, from))).toBe(true);
      }
    }
  });

  it('gives the control plane options that it knows', async () => {
    const { command } = compose.services['control-plane']!;
    const args = command.map((word) => word.replace(/\$\{\w+:-([^}]*)\}/, '$1'));
    const { out } = await ended(process.execPath, [bins.control, ...args, '--help']);
    for (const arg of args.slice(1)) expect(out).toContain(arg.split('=')[0]);
  });
});

describe('the image of the control plane', () => {
  const lines = instructions('control-plane.Dockerfile');
  const copies = lines.filter(([name]) => name === 'COPY').map(([, rest]) => rest.split(' '));

  it('is built from files that there are', () => {
    for (const words of copies.filter(([first]) => !first!.startsWith('--from'))) {
      for (const source of words.slice(0, -1))
        expect(existsSync(join(repository, source)), source).toBe(true);
    }
  });

  it('holds all that the control plane needs to serve', SLOW, async () => {
    const app = join(tempDir('image'), 'app');
    for (const [from, source = '', target = ''] of copies) {
      if (!from!.startsWith('--from')) continue;
      const path = source.replace('/src/', '');
      const to = target.endsWith('/')
        ? join(app, target, path.split('/').at(-1)!)
        : join(app, target);
      cpSync(join(repository, path), to, { recursive: true, dereference: true });
    }
    const script = join(app, 'control-plane/bin/runnel-control.js');
    const [port, nats] = [await freePort(), await freePort()];
    const listen = ['--http', `127.0.0.1:${port}`, '--nats-listen', `127.0.0.1:${nats}`];
    const started = start(script, ['serve', '--data', join(app, 'data'), ...listen], `${app}.log`);
    onTestFinished(() => started.end('SIGKILL'));
    const url = `http://127.0.0.1:${port}`;
    await waitFor('the control plane', async () => (await fetch(`${url}/readyz`)).ok, 60_000);
    expect((await fetch(url)).headers.get('content-type')).toContain('text/html');
    await started.end('SIGTERM');
  });
});

describe('the configuration of NATS', () => {
  it('is written from the keys, and a control plane with the same keys works by it', async () => {
    const [data, nats] = [tempDir('data'), tempDir('nats')];
    const script = join(folder, 'write-nats-config.sh');
    const env = { ...process.env, PATH: programs() };
    expect(await ended('sh', [script, data, nats, join(nats, 'accounts')], { env })).toMatchObject({
      code: 0,
    });
    const port = await freePort();
    const config = readFileSync(join(nats, 'nats.conf'), 'utf8');
    expect(config).toContain('listen: "0.0.0.0:4222"');
    await startForeignNats(config.replace('0.0.0.0:4222', `127.0.0.1:${port}`), port);
    const control = await TestControlPlane.start(data, {
      nats: { kind: 'given', url: `nats://127.0.0.1:${port}` },
    });
    onTestFinished(() => control.close());
    expect((await control.request('GET', '/readyz', { token: null })).status).toBe(200);
  });
});

describe('the agent of a container', () => {
  it('copies and adds what there is, or what is made', () => {
    const lines = instructions('agent.Dockerfile');
    const add = lines.find(([name]) => name === 'ADD')![1];
    expect(add).toMatch(/^\.runnel\/packages\/runnel-agent-\$\{VERSION\}-\$\{PLATFORM\}\.tar\.xz /);
    const { version } = JSON.parse(readFileSync(join(repository, 'agent/package.json'), 'utf8'));
    expect(lines).toContainEqual(['ARG', `VERSION=${version}`]);
    const copy = lines.find(([name]) => name === 'COPY')![1].split(' ');
    expect(existsSync(join(repository, copy[0]!))).toBe(true);
  });

  it('enrols once, keeps its volume, and takes the broker that it is given', SLOW, async () => {
    const control = await TestControlPlane.start();
    onTestFinished(() => control.close());
    const data = join(tempDir('volume'), 'data');
    mkdirSync(data);
    const script = join(folder, 'agent-entrypoint.sh');
    const env = { PATH: programs(), RUNNEL_DATA: data };
    const none = await ended('sh', [script], { env });
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('set RUNNEL_URL') });
    const first = {
      ...env,
      RUNNEL_URL: control.url,
      RUNNEL_TOKEN: await control.joinToken({ uses: 1 }),
      RUNNEL_NAME: 'boxed',
      RUNNEL_MQTT_URL: 'mqtt://mosquitto:1883',
    };
    for (const [round, given] of [first, env].entries()) {
      const started = start(script, [], join(data, '..', `log-${round}`), given);
      onTestFinished(() => started.end('SIGKILL'));
      await waitFor('the agent', () => started.output().includes('"msg":"connected"'), 60_000);
      expect((await control.get('/agents')).json.items).toMatchObject([{ name: 'boxed' }]);
      await started.end('SIGTERM');
      expect(started.output()).toContain('agent stopped');
    }
    const settings = parse(readFileSync(join(data, 'agent.yaml'), 'utf8'));
    expect(settings.broker).toEqual({ url: 'mqtt://mosquitto:1883' });
  });
});

describeWith(['mosquitto'], 'mosquitto.conf', () => {
  it('is understood by mosquitto', async () => {
    const dir = tempDir('mosquitto');
    const port = await freePort();
    const text = readFileSync(join(folder, 'mosquitto/mosquitto.conf'), 'utf8')
      .replace('listener 1883', `listener ${port} 127.0.0.1`)
      .replace('/mosquitto/data/', `${dir}/`);
    writeFileSync(join(dir, 'mosquitto.conf'), `${text}user root\n`);
    const args = ['-c', join(dir, 'mosquitto.conf')];
    const started = start(requireProgram('mosquitto'), args, join(dir, 'log'));
    onTestFinished(() => started.end('SIGKILL'));
    await waitFor('mosquitto', () => started.running() && accepts(port), 20_000);
    expect(started.output()).not.toMatch(/error|unknown|deprecated/i);
  });
});
