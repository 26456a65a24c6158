/**
 * A batch job from apply to its log, between the control plane and the device's own code: placed by
 * what the agent says that it can, run now, reported, acted on, and told by the commands.
 */
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { bundleTool, start } from '../../support/processes.ts';
import { batchJob } from '../../support/runs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel } from '../cli/cli-terminal.ts';

const JOB = batchJob(
  'nightly',
  'partition: { every: 1d }\nparameters: { n: { type: number, default: 1 } }',
).replace('value: 1 }', 'value: "{{ params.n }}" }');

it('a run goes to a real agent, and what becomes of it comes back', async () => {
  const control = await TestControlPlane.start();
  onTestFinished(() => control.close());
  const dir = tempDir('agent-runs');
  const agent = bundleTool('agent/cli/main.ts');
  const data = join(dir, 'data');
  const join1 = await control.joinToken();
  const place = ['--url', control.url, '--token', join1, '--data', data, '--name', 'press-1'];
  const enrolled = start(agent, ['enroll', ...place], join(dir, 'enroll.log'));
  await waitFor('the enrolment', () => !enrolled.running(), 30_000);
  expect(enrolled.child.exitCode, enrolled.output()).toBe(0);
  const running = start(agent, ['run', '--data', data], join(dir, 'agent.log'));
  onTestFinished(() => running.end('SIGTERM'));
  const env = { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken };
  const admin = (...args: string[]) => runnel(args, { env });
  expect((await runnel(['apply', '-f', '-'], { env, input: JOB })).code).toBe(0);
  await waitFor(
    'the job to run',
    async () => (await control.get('/jobs/nightly')).json.counts.running === 1,
    30_000,
  );

  const ran = await admin('run', 'nightly', '--agent', 'press-1', '--param', 'n=7', '--wait');
  expect(ran, `${ran.err}\n${running.output()}`).toMatchObject({ code: 0 });
  const { json } = await control.get('/runs?job=nightly');
  expect(json.items).toMatchObject([
    { state: 'success', trigger: 'manual', tasks: [{ state: 'success' }, { state: 'success' }] },
  ]);
  const { run } = json.items[0];
  const detail = await control.get(`/runs/${run}`);
  expect(detail.json).toMatchObject({
    parameters: { n: 7 },
    instances: [
      { task: 'daily', output: 7 },
      { task: 'share', output: 2 },
    ],
  });
  const logs = await admin('logs', run.slice(0, 8), '-o', 'json');
  expect(logs.code, logs.err).toBe(0);
  const lines = (JSON.parse(logs.out) as { items: { task: string | null }[] }).items;
  expect(lines.map(({ task }) => task)).toContain('daily');
  const again = await admin('rerun', run, '--from', 'daily');
  expect(again.code, again.err).toBe(0);
  await waitFor('the second try', async () => {
    const { json: now } = await control.get(`/runs/${run}`);
    return now.tries === 2 && now.state === 'success';
  });
  const unknown = await admin('run', 'nightly', '--agent', 'press-1', '--param', 'm=7');
  expect(unknown).toMatchObject({ code: 1, out: expect.stringContaining('refused') as string });
  expect((await admin('cancel', run)).err).toContain('has ended');
  const range = ['--from', '2026-11-01', '--to', '2026-11-03', '--dry-run'];
  const backfill = await admin('backfill', 'nightly', '--agent', 'press-1', ...range);
  expect(backfill.out).toContain('  2026-11-01\n  2026-11-02\n');
  await admin('pause', 'nightly');
  await waitFor('the pause to be reported', async () => {
    const { json: job } = await control.get('/jobs/nightly');
    return job.agents[0].phase === 'paused';
  });
}, 120_000);
