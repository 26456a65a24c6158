/** Which rollouts are alerts, phase by phase. */
import { describe, expect, it } from 'vitest';
import { judgeRollouts } from '@runnel/control-plane/alerts/rollout-source.ts';
import { ROLLOUT_PHASES, type RolloutPhase } from '@runnel/control-plane/http/rollout-messages.ts';
import { sampleRollout } from '../dashboard/sample-fleet.ts';

const severityOf = (change: Parameters<typeof sampleRollout>[0]): string | undefined =>
  judgeRollouts([sampleRollout(change)]).findings[0]?.severity;

/** When a person did it, when its gate did, and when it does not move. */
const EXPECTED: Readonly<
  Record<RolloutPhase, readonly [string | undefined, string | undefined, string | undefined]>
> = {
  progressing: [undefined, undefined, 'warning'],
  soaking: [undefined, undefined, 'warning'],
  awaitingApproval: ['info', 'info', 'info'],
  suspended: [undefined, 'error', undefined],
  rollingBack: [undefined, 'error', 'warning'],
  succeeded: [undefined, undefined, undefined],
  rolledBack: [undefined, 'error', undefined],
  aborted: [undefined, undefined, undefined],
  superseded: [undefined, undefined, undefined],
};

describe('a rollout as an alert', () => {
  it.each(ROLLOUT_PHASES)('%s', (phase) => {
    expect([
      severityOf({ phase }),
      severityOf({ phase, byGate: true }),
      severityOf({ phase, stuck: true }),
    ]).toEqual(EXPECTED[phase]);
  });

  it('says which version, why, and where to act', () => {
    const counts = { updated: 1, pending: 0, unknown: 0, failed: 2 };
    const reason = '1 of 3 devices is healthy, 90 % are needed';
    const rollout = sampleRollout({ phase: 'rolledBack', byGate: true, counts, reason });
    expect(judgeRollouts([rollout]).findings).toMatchObject([
      {
        title: 'j version 2 failed its gate and was taken back',
        message: `${reason} (2 failed)`,
        labels: { job: 'j', version: '2', phase: 'rolledBack' },
        link: '/jobs/j/rollout',
      },
    ]);
  });

  it('is one alert however it goes on, and another one for the next rollout of the job', () => {
    const fingerprint = (change: Parameters<typeof sampleRollout>[0]) =>
      judgeRollouts([sampleRollout({ byGate: true, ...change })]).findings[0]?.fingerprint;
    expect(fingerprint({ phase: 'rollingBack' })).toBe(fingerprint({ phase: 'rolledBack' }));
    expect(fingerprint({ phase: 'suspended' })).not.toBe(
      fingerprint({ phase: 'suspended', id: 'r2' }),
    );
  });
});
