/**
 * A promise through everything that can end: the sensor, the control plane, the agent. The built
 * programs, and no network in between for a while.
 *
 *   sensor         ─lines──┐ stops            ┌─lines─┐ stops
 *   agent          ──met───┴──breached────────┴──met──┴─kill─┌─breached─────▶
 *   control plane  ──met──────breached──kill─────────────────┴─up─▶ the history has it all
 */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { pause } from '../support/pause.ts';
import { bins, runBin, start, type Started } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: lines }
sla: [{ name: fresh, freshness: 2s }]
sources:
  lines: { file: { path: files/in.jsonl, every: 50ms } }
steps: [{ id: pass, filter: "payload.n >= 0" }]
sinks: [{ from: pass, results: { dataset: lines } }]
`;
const WAIT_MS = 30_000;

interface Said {
  readonly sla: string;
  readonly verdict: string;
  readonly since: number;
}

it('is breached, kept and breached again with nobody to hear it, and tells it all later', async () => {
  const dir = tempDir('sla');
  const [agentDir, controlDir] = [join(dir, 'agent'), join(dir, 'control')];
  const [http, nats] = await Promise.all([freePort(), freePort()]);
  const url = `http://127.0.0.1:${http}`;
  let control: Started | undefined;
  let agent: Started | undefined;
  onTestFinished(async () => {
    await agent?.end('SIGKILL');
    await control?.end('SIGTERM');
  });
  const startControl = async (): Promise<void> => {
    const listen = ['--http', `127.0.0.1:${http}`, '--nats-listen', `127.0.0.1:${nats}`];
    const args = ['serve', '--data', controlDir, ...listen];
    control = start(bins.control, args, join(dir, 'control.log'));
    await waitFor('the control plane', async () => (await fetch(`${url}/readyz`)).ok, 60_000);
  };
  const startAgent = (): void => {
    agent = start(bins.agent, ['run', '--data', agentDir], join(dir, 'agent.log'));
  };
  const runnel = (...args: string[]): string => {
    const token = readFileSync(join(controlDir, 'admin-token'), 'utf8').trim();
    return runBin('runnel', args, { RUNNEL_URL: url, RUNNEL_TOKEN: token });
  };
  const line = (): void =>
    appendFileSync(join(agentDir, 'files/in.jsonl'), `${JSON.stringify({ n: 1 })}\n`);
  const deviceSays = (): Said | undefined => {
    const text = runBin('agent', ['status', '--data', agentDir, '-o', 'json']);
    return (JSON.parse(text) as { slas?: Said[] }).slas?.[0];
  };
  /** The sensor sends while `sends`, until the device has this verdict. */
  const until = async (verdict: string, sends: boolean): Promise<void> => {
    const sees = async (): Promise<boolean> => {
      if (sends) line();
      await pause(200);
      return deviceSays()?.verdict === verdict;
    };
    await waitFor(`the device to say ${verdict}`, sees, WAIT_MS);
  };
  const heldHere = (): string | undefined =>
    (JSON.parse(runnel('sla', 'lines', '-o', 'json')) as Said[])[0]?.verdict;

  await startControl();
  const token = runnel('token', 'create', '--role', 'agent', '--quiet').trim();
  const place = ['--url', url, '--token', token, '--data', agentDir];
  runBin('agent', ['enroll', ...place, '--name', 'press-1']);
  mkdirSync(join(agentDir, 'files'));
  line();
  startAgent();
  writeFileSync(join(dir, 'job.yaml'), JOB);
  runnel('apply', '-f', join(dir, 'job.yaml'));
  await waitFor('the first verdict', () => heldHere() !== undefined, WAIT_MS);

  await until('breached', false);
  await waitFor('the control plane to see it', () => heldHere() === 'breached', WAIT_MS);

  await control!.end('SIGKILL');
  await until('met', true);
  await until('breached', false);
  const before = deviceSays();
  await agent!.end('SIGKILL');
  startAgent();
  await until('breached', false);
  // It is the same breach: what was, and since when, is not lost with the process.
  expect(deviceSays()).toMatchObject({ since: before!.since });

  await startControl();
  const verdicts = (): string[] => {
    const history = runnel('sla', 'history', 'lines', 'fresh', '-o', 'json');
    const { items } = JSON.parse(history) as { items: Said[] };
    return items.map(({ verdict }) => verdict).filter((each) => each !== 'atRisk');
  };
  await waitFor(
    'the history of the time in which nobody heard',
    () => verdicts().filter((each) => each === 'breached').length >= 2,
    WAIT_MS,
  );
  const told = verdicts();
  expect(told.slice(told.indexOf('breached'))).toEqual(['breached', 'met', 'breached']);
}, 150_000);
