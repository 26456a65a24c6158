/**
 * Takes the README's pictures, of the real page over a real control plane whose devices speak the
 * protocol. Only when asked:
 * `PICTURES=deploy/screenshots npx vitest run test/e2e/dashboard-pictures`.
 */
import { join } from 'node:path';
import { test } from 'vitest';
import { seededRandom } from '@runnel/shared/random.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import { openBrowser } from '../support/chromium.ts';
import { PageSite } from './dashboard/page-site.ts';
import { enrolDevice, jobReport, ProtocolDevice } from './dashboard/protocol-device.ts';

const FOLDER = process.env.PICTURES;
const SITES = ['lyon', 'turin', 'porto', 'graz'] as const;
const ROLES = ['press', 'kiln', 'gateway'] as const;
const MINUTE = 60_000;

const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: bearing-health, labels: { team: maintenance } }
parameters:
  limit: { type: number, default: 0.8 }
placement: { selector: "site in (lyon, turin, porto, graz)" }
sources:
  readings: { mqtt: { topic: "press/+/vibration", qos: 1 }, time: "payload.ts" }
steps:
  - filter: "payload.status == 'ok'"
  - id: rms
    window: { tumbling: 10s, by: "payload.machine", allowedLateness: 5s }
    aggregate: { rms: "avg(payload.rms)", p95: "quantile(payload.rms, 0.95)", n: "count()" }
sinks:
  - { from: rms, results: { dataset: bearing-rms } }
`;

const NEXT = `${JOB.replace('0.8', '0.75')}rollout: { batches: [1, 50%, 100%], approval: manual }
`;

interface RolloutAgents {
  readonly items: readonly { readonly agent: string; readonly batch: number | null }[];
}

function condition(change: Partial<Condition>): Condition {
  return {
    type: 'storage',
    axis: 'storage',
    severity: 'error',
    reason: 'Full',
    message: 'The disk is full: 0 B free. Records are not acknowledged until there is room',
    since: Date.now() - 71 * MINUTE,
    ...change,
  };
}

/** What a few devices have to complain about; the others are well. */
const TROUBLES: Readonly<Record<number, Partial<Heartbeat>>> = {
  7: { conditions: [condition({})] },
  16: {
    conditions: [
      condition({
        type: 'sources/readings',
        axis: 'sources',
        severity: 'warning',
        reason: 'CannotConnect',
        message: 'mqtt://10.4.0.12:1883: connection refused',
        since: Date.now() - 12 * MINUTE,
      }),
    ],
  },
  21: {
    jobs: [
      jobReport({
        name: 'bearing-health',
        attempted: {
          version: 2,
          phase: 'refused',
          reason: 'policy: topic press/# is not allowed on this device',
          at: Date.now() - 5 * MINUTE,
        },
      }),
    ],
  },
  25: { intervalMs: 200 },
};

function results(): Row[] {
  const random = seededRandom(7);
  const end = Math.floor(Date.now() / 10_000) * 10_000;
  const rows: Row[] = [];
  for (let window = 90; window >= 1; window -= 1) {
    const windowEnd = end - (window - 1) * 10_000;
    for (let machine = 1; machine <= 6; machine += 1) {
      const wave = Math.sin(windowEnd / 70_000 + machine) * 0.05 + random.next() * 0.02;
      const rms = 0.25 + machine * 0.07 + wave;
      rows.push({
        seq: rows.length + 1,
        kind: 'result',
        job: 'bearing-health',
        version: 1,
        step: 'rms',
        dataset: 'bearing-rms',
        key: `press-${machine}`,
        windowStart: windowEnd - 10_000,
        windowEnd,
        time: windowEnd - 1,
        revision: 1,
        value: { rms, p95: rms * 1.3, n: 90 + Math.floor(random.next() * 20) },
        at: windowEnd,
      });
    }
  }
  return rows;
}

test.skipIf(FOLDER === undefined)(
  'the pictures show a fleet at work with a few troubles',
  async () => {
    const site = await PageSite.start();
    const token = await site.joinToken();
    await site.api('POST', '/jobs', JOB);
    const devices: ProtocolDevice[] = [];
    for (let index = 0; index < 48; index += 1) {
      const place = SITES[index % SITES.length] ?? 'lyon';
      const role = ROLES[index % ROLES.length] ?? 'press';
      const name = `${place}-${role}-${String(index + 1).padStart(2, '0')}`;
      const device = await ProtocolDevice.connect(
        await enrolDevice(site.url, token, name, { site: place, role }),
      );
      await device.beat({
        observedRevision: 1,
        jobs: [jobReport({ name: 'bearing-health' })],
        ...TROUBLES[index],
      });
      devices.push(device);
    }
    await enrolDevice(site.url, token, 'lyon-kiln-new', { site: 'lyon', role: 'kiln' });
    await devices[0]?.sendResults(results());
    // The next version is through its first batch, of one device, and waits for a person.
    await site.api('POST', '/jobs', NEXT);
    const told = await site.api<RolloutAgents>('GET', '/jobs/bearing-health/rollout/agents');
    const first = told.items.find(({ batch }) => batch === 1)?.agent;
    const next = jobReport({ name: 'bearing-health', version: 2 });
    await devices.find(({ id }) => id === first)?.beat({ observedRevision: 2, jobs: [next] });

    const { page } = await openBrowser();
    await page.emulateMedia({ colorScheme: 'light' });
    await page.goto(site.signInLink());
    await page.getByText(/is offline/).waitFor({ timeout: 60_000 });
    await page.getByText(/waits for approval/).waitFor({ timeout: 60_000 });
    const save = (name: string): Promise<unknown> =>
      page.screenshot({ path: join(FOLDER ?? '', name) });
    await save('fleet.png');
    await page.emulateMedia({ colorScheme: 'dark' });
    await save('fleet-dark.png');
    await page.goto(`${site.url}/jobs/bearing-health`);
    await page.locator('.chart canvas').waitFor();
    await page.emulateMedia({ colorScheme: 'light' });
    await save('job.png');
  },
  240_000,
);
