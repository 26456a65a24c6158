/**
 * The proof that the crash runs bite: each planted bug, put in through a composition root of the
 * tests' own, turns the audit or the trace red.
 */
import { beforeAll, expect, it } from 'vitest';
import { bundleTool } from '../support/processes.ts';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type CrashPlan, crashRun } from './crash/crash-run.ts';

let agentScript = '';
let controlScript = '';

beforeAll(() => {
  agentScript = bundleTool('test/e2e/planted/agent.ts');
  controlScript = bundleTool('test/e2e/planted/control-plane.ts');
});

function plan(changes: Partial<CrashPlan>): CrashPlan {
  return {
    dir: tempDir('planted'),
    broker: 'mosquitto',
    seed: 3,
    messages: 6000,
    perSecond: 2000,
    kills: 5,
    cuts: 0,
    targets: ['agent'],
    settleMs: 6000,
    ...changes,
  };
}

/** So slowly that an agent which was started again is at work before it is killed the next time. */
const STEADY = { perSecond: 700 };

describeWith(['mosquitto'], 'the auditor catches', () => {
  for (const [bug, changes] of Object.entries({
    'commit-split': STEADY,
    'early-puback': STEADY,
    'no-ring': { kills: 0, cuts: 3 },
  })) {
    it(`an agent with the bug ${bug}`, async () => {
      const agentEnv = { RUNNEL_PLANT: bug };
      const report = await crashRun(plan({ agentScript, agentEnv, ...changes }), Date.now());
      expect(report.wrong).not.toEqual([]);
    }, 90_000);
  }

  it('a control plane whose mark is not conditional', async () => {
    const report = await crashRun(
      plan({ controlScript, kills: 0, cuts: 3, messages: 12_000 }),
      Date.now(),
    );
    expect(report.answers, 'answers that were cut off').toBeGreaterThan(0);
    expect(report.wrong).not.toEqual([]);
  }, 90_000);

  it('nothing where nothing was planted', async () => {
    const report = await crashRun(plan({ kills: 2, cuts: 2, settleMs: 60_000 }), Date.now());
    expect(report.wrong).toEqual([]);
  }, 90_000);
});
