/** Waiting for rollouts with `runnel`, on a real control plane whose one device never answers. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { runnel } from './cli-terminal.ts';

const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: hot }
rollout: { batches: [1, 100%], approval: manual }
sources: { device: { host: {} } }
steps: [{ filter: "payload.load1 > 5" }]
sinks: [{ results: { dataset: hot } }]
`;

let control: TestControlPlane;
let device: Device;

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-1' });
});

afterAll(async () => {
  await device.close();
  await control.close();
});

const admin = (args: readonly string[], input?: string) =>
  runnel(args, {
    env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken },
    ...(input === undefined ? {} : { input }),
  });

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

describe('waiting for a rollout', () => {
  test('ends when its patience does, says how far it was, and leaves it to go on', async () => {
    const applied = await admin(['apply', '-f', '-', '--wait', '--timeout', '200ms'], JOB);
    expect(applied.code, applied.err).toBe(1);
    expect(applied.err).toMatch(
      /hot: not over after 200ms: version 1 is \w+, batch \d of \d; it goes on/,
    );
    expect(lastLine(applied.err)).toContain('runnel rollout status hot --agents');

    const watched = await admin(['rollout', 'status', 'hot', '--watch', '--timeout', '200ms']);
    expect(watched.code).toBe(1);
    expect(watched.err).toContain('hot: not over after 200ms');
    expect((await control.get('/jobs/hot/rollout')).json.phase).not.toBe('aborted');
  });

  test('that is over in time is not cut short', async () => {
    await control.post('/jobs/hot/rollout/abort');
    const { code, err } = await admin(['rollout', 'status', 'hot', '--watch', '--timeout', '1h']);
    expect(code).toBe(1);
    expect(err).toContain('aborted');
    expect(err).not.toContain('not over');
  });

  test.each([
    [['rollout', 'status', 'hot', '--timeout', '1m'], '--timeout is for --watch'],
    [['rollout', 'status', 'hot', '--watch', '--timeout', 'soon'], '--timeout soon is no duration'],
    [['rollout', 'status', 'hot', '--watch', '--timeout', '0s'], '--timeout 0s is no duration'],
    [['apply', '-f', '-', '--timeout', '1m'], '--timeout is for --wait'],
  ])('is refused what it cannot mean: %j', async (args, words) => {
    const before = (await control.get('/jobs')).json;
    const { code, err } = await admin(args, JOB.replace('hot }', 'cold }'));
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect((await control.get('/jobs')).json).toEqual(before);
  });

  test('is told of in the help', async () => {
    expect((await admin(['apply', '--help'])).out).toContain('--timeout <duration>');
    expect((await admin(['rollout', 'status', '--help'])).out).toContain('--timeout <duration>');
  });
});
