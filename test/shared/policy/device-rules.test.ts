/**
 * The device and the control plane judge the same documents by the same policy alike: the device
 * by its files, the control plane by what the device reported.
 */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, test } from 'vitest';
import { gateJobs } from '@runnel/agent/config/job-gate.ts';
import { policyReportText } from '@runnel/agent/config/policy-report-text.ts';
import { placedJob } from '@runnel/control-plane/rollouts/placement.ts';
import { limits } from '@runnel/shared/limits.ts';
import { agentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { reportedRules } from '@runnel/shared/protocol/policy-report.ts';
import { tempDir } from '../../support/temp-dir.ts';

const head = { apiVersion: 'runnel/v1', metadata: { name: 'j' } };
const stream = (source: object, sink: object = { results: { dataset: 'd' } }) => ({
  ...{ ...head, kind: 'StreamJob', sources: { s: source }, steps: [{ filter: 'true' }] },
  sinks: [{ from: 'filter', ...sink }],
});
const batch = (task: object) => ({
  ...{ ...head, kind: 'BatchJob', tasks: [{ id: 't', ...task }] },
});

const documents: Readonly<Record<string, object>> = {
  'a host source': stream({ host: {} }),
  'a file of the data directory': stream({ file: { path: 'in.jsonl' } }),
  'a file outside': stream({ file: { path: '/etc/passwd' } }),
  'a file by dots': stream({ file: { path: '../in.jsonl' } }),
  "the agent's own file": stream({ file: { path: 'identity/device.seed' } }),
  'a file of an allowed directory': stream({ file: { path: '/srv/lines/in.jsonl' } }),
  'a broker by name': stream({ mqtt: { topic: 't', url: 'mqtt://broker.plant' } }),
  'a broker by address': stream({ mqtt: { topic: 't', url: 'mqtt://10.1.2.3' } }),
  'a file as a sink': stream({ host: {} }, { file: { path: 'out.jsonl' } }),
  'a secret of the environment': stream({
    mqtt: { topic: 't', url: 'mqtt://broker.plant', username: 'u', password: { env: 'HOME' } },
  }),
  'a program': batch({ command: { run: ['/bin/gzip', '-9', 'a.log'] } }),
  'another program': batch({ command: { run: ['/bin/rm', '-rf', '/'] } }),
  'a request': batch({ http: { method: 'GET', url: 'http://10.1.2.3/x' } }),
  'a task in a pool that is not there': batch({ value: { value: 1 }, pool: 'slow' }),
  'a large task': batch({ value: { value: 1 }, cost: { memory: '512MiB' } }),
  'what is no job': { kind: 'StreamJob' },
};
const policies: Readonly<Record<string, object>> = {
  none: {},
  'kinds and hosts': { sources: ['mqtt'], sinks: ['results'], hosts: ['*.plant', '10.1.0.0/16'] },
  'programs and paths': {
    ...{ commands: [{ run: ['/bin/gzip', -9, '*.log'] }], paths: ['/srv/lines'] },
    ...{ env: ['HOME'], budgets: { taskMemory: '256MiB', memory: '1GiB' } },
  },
};

for (const [name, given] of Object.entries(policies)) {
  const policy = agentPolicy.parse({ apiVersion: 'runnel/v1', kind: 'AgentPolicy', ...given });
  test.each(Object.entries(documents))(`policy ${name}: %s`, async (_title, document) => {
    const dataDir = tempDir('device');
    const pools = ['fast'];
    const job = { name: 'j', version: 1, hash: 'h', document, parameters: {}, paused: false };
    const { refused } = await gateJobs([job], policy, dataDir, pools);
    const rules = reportedRules(policyReportText(policy, dataDir, pools) ?? '');
    expect(rules).toBeDefined();
    const reasons = placedJob(job).refusals(rules!);
    expect(reasons.join('; ')).toBe(refused[0]?.reason ?? '');
  });
}

it('judges the data directory and allowed paths by either name when they are links', () => {
  const real = tempDir('real');
  const base = tempDir('links');
  mkdirSync(join(real, 'data'));
  mkdirSync(join(real, 'lines'));
  symlinkSync(join(real, 'data'), join(base, 'data'));
  symlinkSync(join(real, 'lines'), join(base, 'lines'));
  const policy = agentPolicy.parse({
    ...{ apiVersion: 'runnel/v1', kind: 'AgentPolicy', paths: [join(base, 'lines')] },
  });
  const rules = reportedRules(policyReportText(policy, join(base, 'data'), []) ?? '');
  const reasons = (path: string): number => {
    const document = stream({ file: { path } });
    return placedJob({ name: 'j', version: 1, hash: 'h', document }).refusals(rules!).length;
  };
  for (const path of ['a', join(real, 'data/a'), join(base, 'lines/a'), join(real, 'lines/a')]) {
    expect(reasons(path), path).toBe(0);
  }
  expect(reasons(join(real, 'other'))).toBe(1);
});

it('is told only while it is small; what cannot be read is not judged', () => {
  const paths = Array.from({ length: 500 }, (_, n) => `/srv/${'x'.repeat(20)}/${n}`);
  const large = agentPolicy.parse({ apiVersion: 'runnel/v1', kind: 'AgentPolicy', paths });
  expect(policyReportText(large, '/data', [])).toBeUndefined();
  expect(limits.policyReportBytesMax).toBeLessThan(JSON.stringify(paths).length);
  for (const text of ['', '{', '{}', '{"v":2}', 'null']) {
    expect(reportedRules(text), text).toBeUndefined();
  }
});
