/**
 * Node-RED 4.1 on the same job: MQTT in at QoS 1, JSON, a tumbling window for 100 keys in memory
 * (no durability: it offers none), one message out per window. Fetched for the benchmark only.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const VERSION = '4.1';

/** Installs Node-RED into `dir` unless it is there; undefined when the registry has none. */
function install(dir: string): string | undefined {
  const entry = join(dir, 'node_modules/node-red/red.js');
  if (existsSync(entry)) return entry;
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'package.json'), '{"private":true}');
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', `node-red@${VERSION}`];
  try {
    execFileSync('npm', args, { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    process.stderr.write(`Node-RED is left out: ${String(error)}\n`);
    return undefined;
  }
  return entry;
}

const WINDOW_FUNCTION = `
const p = msg.payload;
const start = p.ts - (p.ts % 10000);
const open = context.get('open') || {};
const out = [];
let w = open[p.machine];
if (w && w.start !== start) { out.push({ payload: { key: p.machine, ...w } }); w = undefined; }
if (!w) { w = { start, n: 0, total: 0, low: Infinity, high: -Infinity }; open[p.machine] = w; }
w.n += 1; w.total += p.rms;
if (p.rms < w.low) w.low = p.rms;
if (p.rms > w.high) w.high = p.rms;
context.set('open', open);
const seen = (context.get('seen') || 0) + 1;
context.set('seen', seen);
if (p.i === LAST) node.send([null, { payload: 'done' }]);
return [out, null];
`;

function flow(brokerPort: number, last: number): unknown[] {
  const broker = {
    id: 'broker',
    type: 'mqtt-broker',
    broker: '127.0.0.1',
    port: String(brokerPort),
    clientid: 'node-red-bench',
    protocolVersion: '5',
    keepalive: '60',
    cleansession: false,
    sessionExpiry: '3600',
    autoConnect: true,
  };
  return [
    { id: 'tab', type: 'tab', label: 'bench' },
    broker,
    {
      id: 'in',
      type: 'mqtt in',
      z: 'tab',
      topic: 'press/+/vibration',
      qos: '1',
      datatype: 'json',
      broker: 'broker',
      inputs: 0,
      wires: [['filter']],
    },
    {
      id: 'filter',
      type: 'switch',
      z: 'tab',
      property: 'payload.status',
      propertyType: 'msg',
      rules: [{ t: 'eq', v: 'ok', vt: 'str' }],
      checkall: 'true',
      repair: false,
      outputs: 1,
      wires: [['window']],
    },
    {
      id: 'window',
      type: 'function',
      z: 'tab',
      func: WINDOW_FUNCTION.replace('LAST', String(last)),
      outputs: 2,
      wires: [['out'], ['done']],
    },
    mqttOut('out', 'bench/windows'),
    mqttOut('done', 'bench/done'),
  ];
}

function mqttOut(id: string, topic: string): unknown {
  return {
    id,
    type: 'mqtt out',
    z: 'tab',
    topic,
    qos: '1',
    retain: 'false',
    broker: 'broker',
    wires: [],
  };
}

/** Starts it with the flow; it publishes `bench/done` after record `last`. */
export function startNodeRed(
  cacheDir: string,
  dir: string,
  brokerPort: number,
  httpPort: number,
  last: number,
): ChildProcess | undefined {
  const entry = install(cacheDir);
  if (entry === undefined) return undefined;
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'flows.json'), JSON.stringify(flow(brokerPort, last)));
  writeFileSync(
    join(dir, 'settings.js'),
    `module.exports = { uiHost: '127.0.0.1', uiPort: ${httpPort}, flowFile: 'flows.json',
      credentialSecret: false, logging: { console: { level: 'info' } } };`,
  );
  const log = openSync(join(dir, 'node-red.log'), 'a');
  return spawn(process.execPath, [entry, '-u', dir, '-s', join(dir, 'settings.js')], {
    stdio: ['ignore', log, log],
  });
}
