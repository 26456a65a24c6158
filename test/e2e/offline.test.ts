/**
 * Offline is a normal state (I4): the control plane is away for the whole run, the agent is
 * restarted meanwhile, and all results arrive when it returns.
 *
 *   control plane  ──apply──x                                     ┌──────────
 *   agent          ─────────────publish────x kill ┌──publish──────┴─▶ results
 */
import { expect, it } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { audit, readAll } from './crash/audit.ts';
import { Publisher } from './crash/publisher.ts';
import { Site } from './crash/site.ts';
import { crashJob, makeWorkload } from './crash/workload.ts';

describeWith(['mosquitto'], 'without a control plane', () => {
  it('jobs run from power-on, and all results arrive when it returns', async () => {
    const site = await Site.start({ dir: tempDir('offline'), broker: 'mosquitto' });
    const publisher = new Publisher(site.brokerPort);
    try {
      const workload = makeWorkload(99, 6000, Date.now());
      await site.apply(crashJob(`mqtt://127.0.0.1:${site.brokerPort}`));
      await site.running('crash');
      await site.connected();
      await site.killControl();
      await publisher.publish(workload.messages.slice(0, 3000), 3000);
      await site.killAgent();
      site.startAgent();
      await publisher.publish(workload.messages.slice(3000), 3000);
      await publisher.publish([workload.closing], 3000);
      await site.killAgent('SIGTERM');
      site.startAgent();
      await site.startControl();
      const rows = await waitFor(
        'all results',
        async () => {
          const found = await readAll(site.api, 'totals');
          return found.length >= workload.expected.size ? found : undefined;
        },
        60_000,
      );
      expect(audit(rows, workload)).toEqual([]);
    } catch (error) {
      throw new Error(site.logs(), { cause: error });
    } finally {
      await publisher.end();
      await site.stop();
    }
  }, 120_000);
});
