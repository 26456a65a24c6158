import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseJobDocument, streamJobOf } from '@runnel/shared/definitions/parse-job.ts';
import { seededRandom } from '@runnel/shared/random.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import {
  agentPolicy,
  type AgentPolicy,
  defaultPolicy,
} from '@runnel/shared/policy/agent-policy.ts';
import { readPolicy } from '@runnel/agent/config/read-policy.ts';
import { checkPolicy } from '@runnel/shared/policy/check-policy.ts';
import { refuseCommand, refuseVariable } from '@runnel/shared/policy/command-policy.ts';
import { dataFiles } from '@runnel/agent/config/data-files.ts';
import { gateJobs } from '@runnel/agent/config/job-gate.ts';
import { pathRules } from '@runnel/agent/config/real-path.ts';
import { matchesHost } from '@runnel/shared/policy/host-pattern.ts';
import { refusePath } from '@runnel/shared/policy/path-policy.ts';
import { taskPolicy } from '@runnel/agent/config/task-policy.ts';
import { tempDir } from '../../support/temp-dir.ts';

let dataDir: string;
let outside: string;
beforeEach(() => {
  outside = tempDir('outside');
  dataDir = join(tempDir('data'), 'agent');
  mkdirSync(join(dataDir, 'files'), { recursive: true });
  mkdirSync(join(dataDir, 'identity'));
});

const policy = (given: Record<string, unknown>): AgentPolicy =>
  agentPolicy.parse({ apiVersion: 'runnel/v1', kind: 'AgentPolicy', ...given });

function job(source: unknown, sink: unknown = { results: { dataset: 'd' } }): unknown {
  return {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name: 'j' },
    sources: { s: source },
    steps: [{ filter: 'true' }],
    sinks: [{ from: 'filter', ...(sink as object) }],
  };
}
const check = (document: unknown, given: AgentPolicy = defaultPolicy) =>
  checkPolicy(streamJobOf(parseJobDocument(document)), given, pathRules(given, dataDir));

describe('paths', () => {
  const refused = (path: string, allowed: string[] = []) =>
    refusePath(path, pathRules({ paths: allowed }, dataDir));

  it('are free below the data directory, whether they exist or not', () => {
    expect(refused('files/out.jsonl')).toBeUndefined();
    expect(refused('new/deep/out.jsonl')).toBeUndefined();
    expect(refused(join(dataDir, 'out.jsonl'))).toBeUndefined();
  });

  it('outside it are refused, by dots as by name', () => {
    expect(refused('/etc/passwd')).toMatch(/not under the data directory/);
    expect(refused('../out.jsonl')).toMatch(/not under/);
    expect(refused('files/../../out.jsonl')).toMatch(/not under/);
    expect(refused(`${dataDir}-other/out.jsonl`)).toMatch(/not under/);
  });

  it('that policy allows are free, with what is below them', () => {
    expect(refused(join(outside, 'a/b.jsonl'), [outside])).toBeUndefined();
    expect(refused(`${outside}x/b.jsonl`, [outside])).toMatch(/not under/);
  });

  it('through a symbolic link are judged by where they lead', () => {
    symlinkSync(outside, join(dataDir, 'files/link'));
    expect(refused('files/link/out.jsonl')).toMatch(/leads to/);
    symlinkSync(join(outside, 'not-there-yet'), join(dataDir, 'files/dangling'));
    expect(refused('files/dangling')).toMatch(/leads to/);
    symlinkSync('../files', join(dataDir, 'files/inside'));
    expect(refused('files/inside/out.jsonl')).toBeUndefined();
  });

  it('in a circle of links are refused', () => {
    symlinkSync(join(dataDir, 'b'), join(dataDir, 'a'));
    symlinkSync(join(dataDir, 'a'), join(dataDir, 'b'));
    expect(refused('a/out.jsonl')).toMatch(/cannot be judged/);
  });

  it("that are the agent's own are refused, also through a link and under policy", () => {
    writeFileSync(join(dataDir, 'identity/device.seed'), 'secret');
    symlinkSync('../identity', join(dataDir, 'files/harmless'));
    for (const path of [
      'identity/device.seed',
      'policy.yaml',
      'agent.yaml',
      'agent.lock',
      'store/data.mdb',
      'store.damaged-1/data.mdb',
      'files/harmless/device.seed',
      'files/../identity/device.seed',
    ]) {
      expect(refused(path), path).toMatch(/the agent's own/);
      expect(refused(path, ['/', dataDir]), path).toMatch(/the agent's own/);
    }
  });
});

describe('jobs', () => {
  it('that stay within the default policy run', () => {
    expect(check(job({ host: { every: '1s' } }))).toEqual([]);
    expect(check(job({ mqtt: { topic: 'a', url: 'mqtt://anywhere' } }))).toEqual([]);
    expect(check(job({ file: { path: 'in.jsonl' } }, { file: { path: 'out.jsonl' } }))).toEqual([]);
  });

  it('that need more are refused with every reason', () => {
    const document = job({ file: { path: '/etc/shadow' } }, { file: { path: '/boot/x' } });
    expect(check(document)).toHaveLength(2);
    expect(check(document)[0]).toMatch(/sources\.s: path \/etc\/shadow/);
  });

  it('may not carry a local secret to a broker of their own', () => {
    const broker = { url: 'mqtts://evil', topic: 't', username: 'u' };
    const seed = { file: 'identity/device.seed' };
    expect(check(job({ mqtt: { ...broker, password: seed } }))).toHaveLength(1);
    expect(check(job({ mqtt: { ...broker, ca: '/etc/shadow' } }))).toHaveLength(1);
  });

  it('may use as credentials only the environment variables that policy names', () => {
    const broker = { url: 'mqtts://evil', topic: 't', username: 'u' };
    const reasons = (env: string, given: Record<string, unknown> = {}): readonly string[] =>
      check(job({ mqtt: { ...broker, password: { env } } }), policy(given));
    expect(reasons('RUNNEL_SECRET_BROKER')).toEqual([]);
    expect(reasons('AWS_SECRET_ACCESS_KEY')).toEqual([
      'sources.s: policy.yaml does not allow the environment variable AWS_SECRET_ACCESS_KEY as a ' +
        'credential (env: RUNNEL_SECRET_*)',
    ]);
    expect(reasons('SITE_MQTT', { env: ['SITE_MQTT'] })).toEqual([]);
    expect(reasons('SITE_MQTT_2', { env: ['SITE_MQTT'] })).toHaveLength(1);
    expect(reasons('RUNNEL_SECRET_BROKER', { env: [] })).toHaveLength(1);
    const sink = { mqtt: { ...broker, password: { env: 'HOME' } } };
    expect(check(job({ host: {} }, sink))).toHaveLength(1);
    expect(() => policy({ env: ['*'] })).toThrow('is no name');
  });

  it('may only use kinds and hosts that policy names', () => {
    const strictOne = policy({ sources: ['host'], sinks: ['results'], hosts: ['*.plant.local'] });
    expect(check(job({ host: { every: '1s' } }), strictOne)).toEqual([]);
    expect(check(job({ file: { path: 'a' } }), strictOne)).toHaveLength(1);
    const mqtt = policy({ hosts: ['*.plant.local', '10.1.0.0/16'] });
    const at = (url: string) => check(job({ mqtt: { topic: 't', url } }), mqtt);
    expect(at('mqtt://broker.plant.local')).toEqual([]);
    expect(at('mqtt://10.1.2.3:1883')).toEqual([]);
    expect(at('mqtt://10.2.2.3:1883')).toHaveLength(1);
    expect(at('mqtt://plant.local.evil')).toHaveLength(1);
  });

  it('hosts match by name, suffix, address and subnet, and nothing else', () => {
    expect(matchesHost('A.b', 'a.B')).toBe(true);
    expect(matchesHost('x.plant', '*.plant')).toBe(true);
    expect(matchesHost('xplant', '*.plant')).toBe(false);
    expect(matchesHost('[fd00::1]', 'fd00::/8')).toBe(true);
    expect(matchesHost('10.0.0.1', '10.0.0.0/33')).toBe(false);
    expect(matchesHost('name', '10.0.0.0/8')).toBe(false);
  });
});

describe('the gate', () => {
  const desired = (name: string, version: number, document: unknown): DesiredJob => {
    return { name, version, hash: `${version}`, document, parameters: {}, paused: false };
  };
  const good = job({ host: { every: '1s' } });
  const bad = job({ file: { path: '/etc/shadow' } });

  it('refuses one job with its reason and lets the others run', async () => {
    const jobs = [desired('a', 1, good), desired('b', 2, bad)];
    const { admitted, refused } = await gateJobs(jobs, defaultPolicy, dataDir);
    expect(admitted.map(({ name }) => name)).toEqual(['a']);
    expect(refused).toMatchObject([{ name: 'b', version: 2, hash: '2' }]);
    expect(refused[0]?.reason).toMatch(/etc\/shadow/);
  });

  it('lets a document through that does not parse: the compiler reports it', async () => {
    const broken = desired('a', 1, { kind: 'StreamJob' });
    const { admitted } = await gateJobs([broken], defaultPolicy, dataDir);
    expect(admitted).toEqual([broken]);
  });
});

describe('a batch job', () => {
  const batch = (tasks: unknown[]): DesiredJob => ({
    name: 'b',
    version: 1,
    hash: '1',
    document: { apiVersion: 'runnel/v1', kind: 'BatchJob', metadata: { name: 'b' }, tasks },
    parameters: {},
    paused: false,
  });
  const tasks = [
    { id: 'run', command: { run: ['/sbin/fstrim', '/'], env: { KEY: { env: 'HOME' } } } },
    { id: 'ask', http: { url: 'https://mes.example/x', auth: { bearer: { file: '/etc/token' } } } },
    {
      id: 'tell',
      http: { method: 'POST', url: 'https://{{ agent.name }}.example/x', body: { path: '/etc/x' } },
    },
    { id: 'own', extract: { file: { path: 'batch/logs/*.jsonl', format: 'jsonl' } } },
  ];

  it('is refused for every program, host, path and credential that stands in it', async () => {
    const given = policy({ hosts: ['other.example'], tasks: ['command', 'http'] });
    const { refused } = await gateJobs([batch(tasks)], given, dataDir);
    const reasons = refused[0]?.reason.split('; ') ?? [];
    expect(reasons).toEqual([
      expect.stringMatching(/tasks\.run\.command\.run: .*\/sbin\/fstrim/),
      expect.stringMatching(/tasks\.run\.command\.env\.KEY: .*the variable KEY of a program/),
      expect.stringMatching(/tasks\.run\.command\.env\.KEY: .*HOME/),
      expect.stringMatching(/tasks\.ask\.http\.url: .*mes\.example/),
      expect.stringMatching(/tasks\.ask\.http\.auth\.bearer: .*\/etc\/token/),
      expect.stringMatching(/tasks\.own: .*extract as a task/),
      expect.stringMatching(/tasks\.own\.extract\.file\.path: .*the agent's own/),
    ]);
  });

  it('may do what policy allows', async () => {
    const given = policy({
      commands: ['/sbin/fstrim'],
      commandEnv: ['KEY'],
      paths: ['/etc'],
      env: ['HOME'],
    });
    const { admitted } = await gateJobs([batch(tasks.slice(0, 3))], given, dataDir);
    expect(admitted).toHaveLength(1);
  });

  it('is judged again by what its templates gave, when it runs', () => {
    const judged = taskPolicy(policy({ hosts: ['a.example'] }), dataDir, { RUNNEL_SECRET_A: 's' });
    expect(judged.path('files/x')).toBe(join(dataDir, 'files/x'));
    expect(() => judged.path('identity/device.seed')).toThrow(/own/);
    expect(() => judged.host(new URL('https://b.example/'))).toThrow(/b\.example/);
    expect(() => judged.command(['/bin/sh'], [])).toThrow(/\/bin\/sh/);
    expect(judged.secret({ env: 'RUNNEL_SECRET_A' })).toBe('s');
    expect(() => judged.secret({ env: 'HOME' })).toThrow(/HOME/);
    expect(() => judged.secret({ env: 'RUNNEL_SECRET_B' })).toThrow(/not set/);
    expect(() => judged.secret({ file: '/etc/passwd' })).toThrow(
      expect.objectContaining({ class: 'policy', code: 'policy_refused' }) as Error,
    );
  });
});

describe('what a batch task takes', () => {
  const batchOf = (task: object): DesiredJob => ({
    name: 'b',
    version: 1,
    hash: '1',
    document: {
      apiVersion: 'runnel/v1',
      kind: 'BatchJob',
      metadata: { name: 'b' },
      tasks: [{ id: 't', ...task }],
    },
    parameters: {},
    paused: false,
  });

  it('is refused beyond budgets.taskMemory, by its process too', async () => {
    const given = policy({ budgets: { taskMemory: '128MiB' }, commands: ['/bin/df'] });
    const heavy = batchOf({ command: { run: ['/bin/df'], memory: '200MiB' } });
    const { refused } = await gateJobs([heavy], given, dataDir);
    expect(refused[0]?.reason).toMatch(/tasks\.t\.cost\.memory: .*budgets\.taskMemory/);
    const light = batchOf({ command: { run: ['/bin/df'] } });
    expect((await gateJobs([light], given, dataDir)).admitted).toHaveLength(1);
    const query = batchOf({ sql: { query: 'SELECT 1 AS one' } });
    expect((await gateJobs([query], given, dataDir)).refused).toHaveLength(1);
  });

  it('is refused from a pool that agent.yaml does not have, with what may be meant', async () => {
    const value = { value: { value: 1 } };
    const slip = batchOf({ pool: 'databse', ...value });
    const { refused } = await gateJobs([slip], defaultPolicy, dataDir, ['database']);
    expect(refused[0]?.reason).toMatch(/tasks\.t\.pool: .*databse.*did you mean "database"/);
    for (const pool of ['database', 'default']) {
      const job = batchOf({ pool, ...value });
      const gated = await gateJobs([job], defaultPolicy, dataDir, ['database']);
      expect(gated.admitted, pool).toHaveLength(1);
    }
  });
});

describe('a program', () => {
  const entry = (...run: unknown[]) => policy({ commands: [{ run }] }).commands;
  const refused = (run: (string | undefined)[], ...allowed: unknown[]) =>
    refuseCommand(run, entry(...allowed)) !== undefined;

  it('by its path alone may have any arguments', () => {
    const { commands } = policy({ commands: ['/bin/gzip'] });
    expect(refuseCommand(['/bin/gzip', '-9', 'x'], commands)).toBeUndefined();
    expect(refuseCommand(['/bin/../bin/gzip'], commands)).toMatch(/the program/);
  });

  it('with patterns may have the arguments that fit them, one by one', () => {
    expect(refused(['/bin/gzip', '-9', 'a.log'], '/bin/gzip', -9, '*.log')).toBe(false);
    expect(refused(['/bin/gzip', '-9', 'a.txt'], '/bin/gzip', -9, '*.log')).toBe(true);
    expect(refused(['/bin/gzip', '-1', 'a.log'], '/bin/gzip', -9, '*.log')).toBe(true);
    expect(refused(['/bin/gzip', '-9'], '/bin/gzip', -9, '*.log')).toBe(true);
    expect(refused(['/bin/gzip', '-9', 'a', 'b'], '/bin/gzip', -9, '*')).toBe(true);
    expect(refused(['/bin/gzip', '-9', 'a', '-b'], '/bin/gzip', -9, '**')).toBe(false);
    expect(refused(['/a', '--of=b.c'], '/a', '--of=*.c')).toBe(false);
    expect(refused(['/a', 'aba'], '/a', 'ab*ba')).toBe(true);
    expect(refuseCommand(['/bin/gzip', 'x'], entry('/bin/gzip', '-9'))).toMatch(
      /these arguments of \/bin\/gzip \(commands: \[\/bin\/gzip, -9\]\)/,
    );
  });

  it('gets no option where a pattern begins with anything', () => {
    expect(refused(['/bin/gzip', '--suffix=x'], '/bin/gzip', '*')).toBe(true);
    expect(refused(['/bin/gzip', '-k'], '/bin/gzip', '-*')).toBe(false);
  });

  it('passes for now where an argument is not known yet and a pattern may fit', () => {
    expect(refused(['/bin/gzip', undefined], '/bin/gzip', '*.log')).toBe(false);
    expect(refused(['/bin/gzip', undefined], '/bin/gzip', '-9')).toBe(true);
  });

  it('gets no variable that decides which code runs, but by its whole name', () => {
    const { commandEnv } = defaultPolicy;
    for (const name of ['RUNNEL_LINE', 'LANG', 'LC_ALL', 'TZ']) {
      expect(refuseVariable(name, commandEnv), name).toBeUndefined();
    }
    expect(refuseVariable('LINE', commandEnv)).toMatch(/commandEnv: LANG, LC_\*, TZ, RUNNEL_\*/);
    const wide = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ_'.split('').map((letter) => `${letter}*`);
    for (const name of ['LD_PRELOAD', 'BASH_ENV', 'ENV', 'PATH', 'IFS', 'NODE_OPTIONS', 'PS4']) {
      expect(refuseVariable(name, wide), name).toMatch(/which code runs/);
      expect(refuseVariable(name, [name]), name).toBeUndefined();
    }
    for (const name of [
      'PYTHONPATH',
      'PERL5OPT',
      'RUBYOPT',
      'GIT_SSH',
      'DYLD_X',
      '_JAVA_OPTIONS',
    ]) {
      expect(refuseVariable(name, wide), name).toMatch(/which code runs/);
    }
  });
});

describe('policy.yaml', () => {
  it('that is absent means the default, and one that is broken means an error', async () => {
    expect(await readPolicy(dataFiles(dataDir))).toEqual(defaultPolicy);
    writeFileSync(
      join(dataDir, 'policy.yaml'),
      'apiVersion: runnel/v1\nkind: AgentPolicy\nsinkz: []\n',
    );
    await expect(readPolicy(dataFiles(dataDir))).rejects.toThrow(
      /policy\.yaml: sinkz: unknown key/,
    );
  });
});

it('a random path never leads out of the data directory', () => {
  const random = seededRandom(7);
  const parts = ['..', '.', 'files', 'link', 'x', '/', 'identity', '//etc', 'agent.yaml'];
  symlinkSync(outside, join(dataDir, 'link'));
  for (let count = 0; count < 500; count++) {
    const path = Array.from(
      { length: 5 },
      () => parts[Math.floor(random.next() * parts.length)],
    ).join('/');
    if (refusePath(path, pathRules({ paths: [] }, dataDir)) !== undefined) continue;
    const [first] = relative(dataDir, resolve(dataDir, path)).split('/');
    expect(['..', 'link', 'identity', 'agent.yaml'], path).not.toContain(first);
  }
});
