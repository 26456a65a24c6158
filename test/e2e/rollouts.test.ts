/**
 * How a version reaches devices, with the built programs: in batches that a person approves, back
 * by itself when it cannot start, and on through the end of the control plane and of a device.
 */
import { expect, it } from 'vitest';
import { RolloutSite, sums } from './rollouts/rollout-site.ts';

const LIMIT_MS = 400_000;

it(
  'goes out in approved batches, is undone, and goes back by itself with its state',
  async () => {
    const site = await RolloutSite.start();
    site.enrol('press-1', 'lyon');
    site.enrol('press-2', 'lyon');
    site.enrol('pump-1', 'turin');
    await site.online(3);
    site.apply(sums('placement: { selector: "site=lyon" }'));
    await site.reaches(1, 'succeeded');
    await site.run({ 'press-1': 1, 'press-2': 1, 'pump-1': null });

    site.apply(sums('rollout: { batches: [{ selector: "site=turin" }, 100%], approval: manual }'));
    const first = await site.reaches(2, 'awaitingApproval');
    expect(first.batch).toEqual({ n: 1, of: 2 });
    expect(first.counts).toEqual({ updated: 1, pending: 2, unknown: 0, failed: 0 });
    await site.run({ 'press-1': 1, 'press-2': 1, 'pump-1': 2 });
    site.runnel('rollout', 'approve', 'sums');
    await site.reaches(2, 'succeeded');
    await site.run({ 'press-1': 2, 'press-2': 2, 'pump-1': 2 });

    site.runnel('rollout', 'undo', 'sums');
    await site.reaches(1, 'succeeded');
    await site.run({ 'press-1': 1, 'press-2': 1, 'pump-1': null });

    for (const press of ['press-1', 'press-2']) site.write(press, 0, 10);
    // Where it is new it runs; where there is state of before it refuses to take it over.
    site.apply(sums('rollout: { batches: [{ selector: "site=turin" }, 100%] }', '30s'));
    const { reason, batch } = await site.reaches(3, 'rolledBack');
    expect(batch.n).toBe(2);
    expect(reason).toContain('the state of sum does not fit version 3');
    await site.run({ 'press-1': 1, 'press-2': 1, 'pump-1': null });
    for (const press of ['press-1', 'press-2']) {
      site.write(press, 0, 5);
      site.write(press, 5, 1);
    }
    expect(await site.totals(2)).toEqual([15, 15]);
  },
  LIMIT_MS,
);

it(
  'goes on after nats-server and the control plane were killed, and who was away catches up',
  async () => {
    const site = await RolloutSite.start();
    const presses = ['press-1', 'press-2', 'press-3'];
    for (const press of presses) site.enrol(press, 'lyon');
    await site.online(3);
    site.apply(sums(''));
    await site.reaches(1, 'succeeded');
    for (const press of presses) site.write(press, 0, 10);
    await site.killAgent('press-3');
    await site.connection('press-3', 'offline');

    const kills = [async () => site.killNats(), () => site.restartControl()];
    for (const [n, kill] of kills.entries()) {
      const version = n + 2;
      site.apply(sums(`rollout: { batches: [1, 100%], pauseBetween: ${5 + n}s }`));
      const begun = await site.someAreUpdated(version);
      expect(begun).toMatchObject({ phase: 'soaking', batch: { n: 1, of: 2 } });
      expect(begun.counts).toEqual({ updated: 1, pending: 1, unknown: 1, failed: 0 });
      await kill();
      for (const press of presses) site.write(press, 0, 5);
      const ended = await site.reaches(version, 'succeeded');
      expect(ended.id).toBe(begun.id);
      expect(ended.reason).toContain('2 devices run it');
      await site.run({ 'press-1': version, 'press-2': version });
    }
    expect((await site.history()).map(({ version }) => version)).toEqual([3, 2, 1]);

    site.startAgent('press-3');
    await site.run({ 'press-3': 3 });
    for (const press of presses) site.write(press, 5, 1);
    expect(await site.totals(3)).toEqual([20, 20, 20]);
  },
  LIMIT_MS,
);
