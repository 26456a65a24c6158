/**
 * Offline is a normal state (I4), for batch jobs too: the agent's own program starts on a device
 * that never reaches a control plane, its schedules fire, and after a power cut they fire again.
 *
 *   nobody listens   ×                  ×
 *   agent      ──────┬─▶ runs ──x kill  ┌─▶ runs go on, none is lost of the count
 *                    power-on           power-on
 */
import { expect, it, onTestFinished } from 'vitest';
import type { BatchReport } from '@runnel/shared/protocol/runs.ts';
import { desiredJob } from '../agent/batch/batch-site.ts';
import { verifyEntry } from '../agent/checkpoints/verify-entry.ts';
import { childEntry } from '../support/child-entry.ts';
import { bundleTool } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { CrashDevice } from './batch/crash-site.ts';

it('schedules fire with no network from power-on, and after a power cut', async () => {
  const device = await CrashDevice.start({
    dir: tempDir('power-on'),
    script: bundleTool('test/e2e/batch/device-agent.ts'),
    env: { RUNNEL_VERIFY_ENTRY: await verifyEntry(), RUNNEL_CHILD_ENTRY: childEntry() },
    jobs: [
      desiredJob(
        'often',
        `schedule: { every: 1s, onStartup: true }
tasks: [{ id: t, value: { value: "{{ run.at }}" } }]`,
      ),
    ],
  });
  onTestFinished(() => device.kill());
  const report = async (): Promise<BatchReport | undefined> => (await device.jobs())[0]?.batch;
  const succeeded = (count: number) =>
    waitFor(
      `${count} runs`,
      async () => {
        const batch = await report();
        return (batch?.ended.success ?? 0) >= count ? batch : undefined;
      },
      30_000,
    );
  const first = await succeeded(3);
  await device.killAgent();
  const { ended, lastRun } = await succeeded(first.ended.success! + 3);
  expect(lastRun).toMatchObject({ state: 'success' });
  expect(Object.keys(ended)).toEqual(['success']);
}, 90_000);
