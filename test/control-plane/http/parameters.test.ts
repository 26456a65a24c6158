/** Parameters and placement over HTTP and on the command line, against a real control plane. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { policyReportText } from '@runnel/agent/config/policy-report-text.ts';
import { agentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf } from '../../support/device.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel } from '../cli/cli-terminal.ts';

const jobText = (version: string, limit = '{ type: number, default: 5, max: 100 }') => `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: hot, labels: { release: "${version}" } }
parameters: { limit: ${limit}, note: { type: string, default: x } }
sources: { device: { host: {} } }
steps: [{ filter: "payload.load1 > params.limit" }]
sinks: [{ results: { dataset: hot } }]
`;

let control: TestControlPlane;
let lyon: Device;
let turin: Device;

beforeAll(async () => {
  control = await TestControlPlane.start();
  lyon = await Device.join(control, { name: 'lyon-1', labels: { site: 'lyon', role: 'press' } });
  turin = await Device.join(control, { name: 'turin-1', labels: { site: 'turin' } });
});

afterAll(async () => {
  await lyon.close();
  await turin.close();
  await control.close();
});

const cli = (...args: string[]) =>
  runnel(args, { env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken } });
const patch = (body: object) => control.request('PATCH', '/api/v1/jobs/hot/parameters', { body });
const given = async (device: Device) => (await device.desired()).jobs[0]?.parameters;

it('a value reaches just the devices of its layer, at once and with its origin', async () => {
  await control.post('/jobs', jobText('1'));
  const before = [await lyon.desired(), await turin.desired()].map(({ revision }) => revision);
  const set = await patch({ scope: 'site:lyon', set: { limit: 9, note: 'café' } });
  expect(set.json.layers).toMatchObject([
    { scope: 'site:lyon', agents: 1, values: [{ name: 'limit', value: 9 }, { name: 'note' }] },
  ]);
  expect(await given(lyon)).toEqual({ limit: 9, note: 'café' });
  expect(await given(turin)).toEqual({ limit: 5, note: 'x' });
  const after = [await lyon.desired(), await turin.desired()].map(({ revision }) => revision);
  expect(after).toEqual([before[0]! + 1, before[1]]);
  await patch({ scope: 'agent:turin-1', set: { limit: 7 } });
  const { json } = await control.get('/agents/turin-1/parameters');
  expect(json.jobs[0].parameters.limit).toEqual({
    value: 7,
    origin: `agent:${turin.id}`,
    overridden: [{ origin: 'default', value: 5, tied: false }],
  });
  const one = await control.get('/jobs/hot/agents/lyon-1/parameters');
  expect(one.json.parameters.limit).toMatchObject({ value: 9, origin: 'site:lyon' });
});

it('a value that the job cannot use is refused with why; nothing of it is set', async () => {
  const wrong = await patch({ scope: 'fleet', set: { limit: 'x', lmit: 3, note: 'ok' } });
  expect([wrong.status, wrong.json.code]).toEqual([422, 'definition_invalid']);
  expect(wrong.json.issues.map((issue: { path: string }) => issue.path).toSorted()).toEqual([
    'parameters.limit',
    'parameters.lmit',
  ]);
  expect((await patch({ scope: 'planet', set: {} })).json.code).toBe('scope_invalid');
  expect((await patch({ scope: 'fleet', unset: ['limit'] })).status).toBe(404);
  expect((await patch({ scope: 'agent:nobody', set: { limit: 1 } })).status).toBe(404);
  expect((await control.get('/jobs/hot/parameters')).json.layers).toHaveLength(2);
});

it('a change is audited and told; doing it again is neither', async () => {
  const told = async () => (await control.get('/events?type=parameters')).json.items.length;
  const before = await told();
  await patch({ scope: 'label:role=press', set: { limit: 3 } });
  await patch({ scope: 'label:role==press', set: { limit: 3 } });
  expect(await told()).toBe(before + 1);
  const { json } = await control.get('/events?type=parameters&limit=1');
  expect(json.items[0].message).toBe('parameters of label:role=press: limit = 3');
  const audit = await control.get('/audit?limit=1');
  expect(audit.json.items[0]).toMatchObject({ action: 'job.parameters', subject: 'hot' });
});

it('a version that a set value does not fit is not placed there, with the reason', async () => {
  const { json } = await control.post(
    '/jobs',
    jobText('2', '{ type: number, default: 5, max: 8 }'),
  );
  const reason = 'parameters.limit 9 is more than 8 (from site:lyon)';
  expect(json.placements).toMatchObject({
    counts: { ok: 1, blocked: 1 },
    items: [{ name: 'lyon-1', verdict: 'blocked', reasons: [reason] }, { verdict: 'ok' }],
  });
  expect((await lyon.desired()).jobs).toEqual([]);
  expect((await control.get('/agents/lyon-1')).json.jobs).toMatchObject([
    { name: 'hot', phase: 'refused', notPlaced: reason },
  ]);
  await patch({ scope: 'site:lyon', set: { limit: 8 } });
  expect(await given(lyon)).toMatchObject({ limit: 8 });
});

it('a device that has the job keeps being told of versions that it will refuse', async () => {
  await lyon.beat({ jobs: [jobReportOf({ name: 'hot', version: 2 })] });
  const heard = async () => (await control.get('/agents/lyon-1')).json.jobs[0]?.version === 2;
  await waitFor('the report', heard);
  await control.post('/jobs', jobText('3', '{ type: number, default: 5, max: 7 }'));
  expect((await lyon.desired()).jobs).toMatchObject([{ name: 'hot', version: 3 }]);
});

it('a policy that forbids the job is told at the apply, and strict stores nothing', async () => {
  const policy = agentPolicy.parse({
    ...{ apiVersion: 'runnel/v1', kind: 'AgentPolicy', sources: ['mqtt'] },
  });
  await turin.beat({ policy: policyReportText(policy, '/var/lib/runnel', []) });
  const file = join(control.dataDir, 'cold.yaml');
  writeFileSync(file, jobText('1').replaceAll('hot', 'cold'));
  const reason = 'sources.device: policy.yaml does not allow host as a source';
  const dry = async () => await cli('apply', '-f', file, '--dry-run');
  await waitFor('the policy', async () => (await dry()).err.includes(reason));
  const strict = await cli('apply', '-f', file, '--strict');
  expect([strict.code, strict.out]).toEqual([1, '']);
  expect(strict.err).toContain(`error: 1 agent cannot run cold: turin-1: ${reason}`);
  expect((await control.get('/jobs/cold')).status).toBe(404);
  const applied = await cli('apply', '-f', file);
  expect(applied.out).toContain('cold: version 1 created for 1 agent');
  expect(applied.err).toContain(`1 of 2 agents cannot run it and will not get it (turin-1: `);
  expect((await turin.desired()).jobs.map(({ name }) => name)).not.toContain('cold');
  await turin.beat({
    policy: policyReportText(agentPolicy.parse({ ...policy, sources: undefined }), '/d', []),
  });
  const placed = async () => (await turin.desired()).jobs.some(({ name }) => name === 'cold');
  await waitFor('the job once the policy allows it', placed);
});

it('the command line sets, shows and unsets', async () => {
  expect(await cli('params', 'set', 'cold', 'limit=4', 'note=12', '--site', 'lyon')).toMatchObject({
    code: 0,
    out: 'cold: limit = 4 for site:lyon\ncold: note = "12" for site:lyon\n',
  });
  const shown = await cli('params', 'get', 'cold');
  expect(shown.out).toMatch(/limit +number +5/);
  expect(shown.out).toMatch(/site:lyon +note +"12" +1 /);
  const own = await cli('params', 'get', 'cold', '--agent', 'lyon-1');
  expect(own.out).toMatch(/cold +limit +4 +site:lyon +default 5\n/);
  const json = await cli('params', 'get', '--agent', 'lyon-1', '-o', 'json');
  expect(JSON.parse(json.out)).toMatchObject({ agentName: 'lyon-1' });
  expect(await cli('params', 'unset', 'cold', 'limit', '--site', 'lyon')).toMatchObject({
    out: 'cold: limit unset for site:lyon\n',
  });
  expect((await cli('params', 'set', 'cold', 'limit=4')).err).toContain('for whom?');
  expect((await cli('params', 'set', 'cold', 'limit=4', '--fleet', '--site', 'x')).code).toBe(2);
  expect((await cli('params', 'set', 'cold', 'limit=x', '--fleet')).err).toContain(
    'parameters.limit',
  );
});

it('selectors of the fleet know capabilities and the release', async () => {
  await lyon.beat({ capabilities: ['stream', 'task:sql'], agentVersion: '0.2.0' });
  const names = async (selector: string): Promise<string[]> => {
    const { json } = await control.get(`/agents?selector=${encodeURIComponent(selector)}`);
    return json.items.map(({ name }: { name: string }) => name);
  };
  await waitFor('it', async () => (await names('capability/task/sql')).length === 1);
  expect(await names('capability/task/sql and agentVersion=0.2.0')).toEqual(['lyon-1']);
  expect(await names('!capability/task/sql')).toEqual(['turin-1']);
});
