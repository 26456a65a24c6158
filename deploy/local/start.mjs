/**
 * `npm start`: the product's main job on this machine, with nothing to prepare.
 *
 *   control plane + its nats-server ── agent (embedded MQTT broker, this machine's own readings)
 *
 * Data stays under `.runnel/data` (`--data DIR` elsewhere, `--fresh` begins anew). A process that
 * dies is started again, as a service manager would. Ctrl-C ends everything that was started; what
 * a killed `npm start` left behind is ended by the next one.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, localDir, root, run, say } from './platform.mjs';

const USAGE = `npm start -- [--fresh] [--data DIR] [--http HOST:PORT]

  --fresh           delete what earlier starts kept, and begin anew
  --data DIR        where everything is kept (default .runnel/data)
  --http HOST:PORT  where the dashboard and the API are served (default 127.0.0.1:8080)`;

function options() {
  try {
    return parseArgs({
      options: {
        fresh: { type: 'boolean', default: false },
        data: { type: 'string', default: join(localDir, 'data') },
        http: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`);
  }
}

const given = options();
if (given.help) {
  say(USAGE);
  process.exit(0);
}
const dataDir = resolve(given.data);
const controlDir = join(dataDir, 'control-plane');
const agentDir = join(dataDir, 'agent');
const logDir = join(dataDir, 'logs');
const stateFile = join(dataDir, 'start.json');
const EXAMPLES = ['host-health.yaml', 'bearing-health.yaml', 'host-report.yaml'];
const RESTART_MS = 1000;
const RESTARTS_PER_MINUTE_MAX = 10;

const bins = {
  control: join(root, 'control-plane/bin/runnel-control.js'),
  runnel: join(root, 'control-plane/bin/runnel.js'),
  agent: join(root, 'agent/bin/runnel-agent.js'),
};

const children = new Map();
let stopping = false;

function readState() {
  return existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : { pids: {} };
}

function writeState(change) {
  writeFileSync(stateFile, `${JSON.stringify({ ...readState(), ...change }, undefined, 2)}\n`);
}

/** The command line of a running process, or undefined; only Linux tells it cheaply. */
function commandOf(pid) {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** Ends what a killed `npm start` left behind: known by pid and by its data directory. */
async function endOrphans() {
  const { pids = {}, parent } = readState();
  if (parent !== undefined && commandOf(parent)?.includes('start.mjs')) {
    fail(`another npm start (process ${parent}) uses ${dataDir}; end it first, or use --data DIR`);
  }
  for (const [name, pid] of Object.entries(pids)) {
    if (!commandOf(pid)?.includes(dataDir)) continue;
    say(`ending the ${name} that an earlier start left behind (process ${pid})`);
    process.kill(pid, 'SIGTERM');
    await until(`process ${pid} to end`, () => commandOf(pid) === undefined, 10_000).catch(() => {
      process.kill(pid, 'SIGKILL');
    });
  }
}

async function until(what, probe, deadlineMs) {
  const end = performance.now() + deadlineMs;
  let last;
  while (performance.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`waited ${deadlineMs / 1000} s for ${what}`, { cause: last });
}

async function isFree(port) {
  const server = createServer();
  return new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

/** The address of last time, else 8080, else whatever is free. */
async function httpAddress() {
  if (given.http !== undefined) return given.http;
  const known = readState().http ?? '127.0.0.1:8080';
  if (await isFree(Number(known.split(':').at(-1)))) return known;
  const server = createServer();
  const port = await new Promise((done) => {
    server.listen(0, '127.0.0.1', () => done(server.address().port));
  });
  await new Promise((done) => server.close(done));
  say(`${known} is taken by another program; using 127.0.0.1:${port}`);
  return `127.0.0.1:${port}`;
}

function tail(file, lines = 20) {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

/**
 * Starts a process of ours in a group of its own, so that Ctrl-C reaches only us and every process
 * is ended once, in order. One that dies is started again.
 */
function supervise(name, args, deaths = []) {
  const log = join(logDir, `${name}.log`);
  const out = openSync(log, 'a');
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', out, out] });
  children.set(name, child);
  writeState({ pids: { ...readState().pids, [name]: child.pid }, parent: process.pid });
  child.once('exit', (code, signal) => {
    if (children.get(name) === child) children.delete(name);
    if (stopping) return;
    const recent = [...deaths, performance.now()].filter((at) => at > performance.now() - 60_000);
    say(`${name} ended (${signal ?? `exit code ${code}`}); its last words, from ${log}:`);
    say(tail(log, 5));
    if (recent.length > RESTARTS_PER_MINUTE_MAX) {
      void stop(1, `${name} keeps ending; giving up`);
      return;
    }
    say(`starting ${name} again`);
    setTimeout(() => {
      if (!stopping) supervise(name, args, recent);
    }, RESTART_MS);
  });
}

async function stop(code, why) {
  if (stopping) return;
  stopping = true;
  if (why) say(why);
  for (const name of ['agent', 'control-plane']) {
    const child = children.get(name);
    if (child === undefined) continue;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(late);
  }
  writeState({ pids: {}, parent: undefined });
  process.exit(code);
}

function output(bin, args, env) {
  return execFileSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  }).trim();
}

async function startControlPlane(http) {
  const url = `http://${http}`;
  supervise('control-plane', [bins.control, 'serve', '--data', controlDir, '--http', http]);
  await until('the control plane', async () => (await fetch(`${url}/readyz`)).ok, 60_000);
  const token = readFileSync(join(controlDir, 'admin-token'), 'utf8').trim();
  return { RUNNEL_URL: url, RUNNEL_TOKEN: token };
}

async function startAgent(env) {
  if (!existsSync(join(agentDir, 'agent.yaml'))) {
    const token = output(
      bins.runnel,
      ['token', 'create', '--role', 'agent', '--uses', '1', '--expires', '1h', '--quiet'],
      env,
    );
    output(bins.agent, [
      'enroll',
      ...['--url', env.RUNNEL_URL, '--token', token, '--data', agentDir, '--name', 'this-machine'],
      ...['--label', 'site=lyon', '--label', 'role=press'],
    ]);
  }
  supervise('agent', [bins.agent, 'run', '--data', agentDir]);
}

/** The examples are applied once: what a person deletes or changes stays so. */
function applyExamples(env) {
  if (readState().examples) return;
  for (const file of EXAMPLES) {
    output(bins.runnel, ['apply', '-f', join(root, 'deploy/examples', file)], env);
  }
  writeState({ examples: true });
}

async function agents(env) {
  const response = await fetch(`${env.RUNNEL_URL}/api/v1/agents`, {
    headers: { authorization: `Bearer ${env.RUNNEL_TOKEN}` },
  });
  return (await response.json()).items;
}

function welcome(env, agent) {
  const link = output(bins.control, ['sign-in-link', '--data', controlDir]);
  const broker = agent.conditions.find((condition) => condition.type === 'sources/broker');
  say(`
Runnel is running: a control plane, and one agent named ${agent.name} (${agent.connection}).

  dashboard    ${link}
               (a one-time link; for another: npx runnel-control sign-in-link --data ${controlDir})
  sensors      ${broker?.message ?? 'publish to mqtt://127.0.0.1:1883, the agent’s own MQTT broker:'}
               npx mqtt pub -h 127.0.0.1 -q 1 -t press/p1/vibration -m '{"machine":"p1","rms":0.9,"status":"ok"}'
  jobs         ${agent.jobs.map((job) => `${job.name} v${job.version} ${job.phase}`).join(', ')}
  command line export RUNNEL_URL=${env.RUNNEL_URL} RUNNEL_TOKEN=$(cat ${join(controlDir, 'admin-token')})
               npx runnel get agents
  data, logs   ${dataDir}

Ctrl-C ends everything; the data stays.`);
}

async function main() {
  const setup = await run(process.execPath, [join(root, 'deploy/local/setup.mjs')]);
  if (setup !== 0) process.exit(setup);
  if (existsSync(stateFile)) await endOrphans();
  if (given.fresh) rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(logDir, { recursive: true });
  const http = await httpAddress();
  writeState({ http, parent: process.pid, pids: {} });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => void stop(0, '\nending …'));
  }
  const env = await startControlPlane(http);
  await startAgent(env);
  applyExamples(env);
  const agent = await until(
    'the agent to run its jobs',
    async () => {
      const [first] = await agents(env);
      const running = first?.jobs.length > 0 && first.jobs.every((job) => job.phase === 'running');
      return first?.connection === 'online' && running ? first : undefined;
    },
    60_000,
  );
  welcome(env, agent);
}

main().catch(async (error) => {
  say(`npm start failed: ${error.message}${error.cause ? ` (${error.cause.message})` : ''}`);
  say(`logs: ${logDir}`);
  await stop(1);
});
