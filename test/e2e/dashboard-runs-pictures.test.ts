/**
 * Takes pictures of the pages of runs: light, dark, wide, narrow, empty, busy, broken, away. Only
 * when asked, into a folder of which `runs.png` goes to the README's, deploy/screenshots:
 * `PICTURES=FOLDER npx vitest run test/e2e/dashboard-runs-pictures`.
 */
import { join } from 'node:path';
import { test } from 'vitest';
import { batchReportOf, HOUR, type Outcome, runRows, RunSite } from './dashboard/run-site.ts';

const FOLDER = process.env.PICTURES;
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 360, height: 800 };

const LINES = [
  'run nightly-rollup/2026-11-22 starts, try 1',
  'reads 86400 rows of journal readings',
  'writes rollup/2026-11-22.parquet: 48 rows, 6.1 KiB',
  'attempt 1 failed: 3 rows lack machine; again in 10 s',
  'attempt 3 failed: 3 rows lack machine',
];

function answerCommands(site: RunSite): void {
  const lines = LINES.map((text, index) => ({
    ...{ n: index + 1, at: Date.now() - HOUR + index * 1700, text, index: null, attempt: 1 },
    level: index === 3 ? ('warn' as const) : index === 4 ? ('error' as const) : ('info' as const),
    task: index === 0 ? null : index < 3 ? 'daily' : 'check',
  }));
  site.device.answering((command) =>
    command.action === 'logs'
      ? { lines: lines.filter(({ n }) => n > command.after) }
      : { partitions: ['2026-11-20', '2026-11-21', '2026-11-22'] },
  );
}

test.skipIf(FOLDER === undefined)(
  'the pictures show runs in every state',
  async () => {
    const site = await RunSite.start();
    const { page } = site.browsed;
    answerCommands(site);
    const save = async (name: string): Promise<void> => {
      await page.locator('.loading').first().waitFor({ state: 'detached' });
      await page.evaluate('document.fonts.ready');
      await page.screenshot({ path: join(FOLDER ?? '', `${name}.png`), fullPage: true });
    };
    await page.setViewportSize(WIDE);
    await page.emulateMedia({ colorScheme: 'light' });
    await site.beat(batchReportOf());
    await site.goto('/jobs/nightly-rollup/runs');
    await page.getByText('No runs yet').waitFor();
    await save('runs-empty');

    for (let day = 34; day >= 0; day -= 1) {
      const outcome: Outcome = day === 0 ? 'running' : day % 9 === 1 ? 'failed' : 'success';
      await site.device.send(runRows(`run-${String(day).padStart(2, '0')}`, day, outcome));
    }
    await site.device.send(runRows('run-next', -0.2, 'queued'));
    const lastRun = { run: 'run-01', partition: '2026-11-21', state: 'failed' } as const;
    await site.beat(
      batchReportOf({
        ...{ activeRuns: 1, queuedRuns: 1, skipped: { overlap: 2 } },
        lastRun: { ...lastRun, endedAt: Date.now() - 24 * HOUR },
      }),
    );
    const views = {
      runs: '/jobs/nightly-rollup/runs',
      job: '/jobs/nightly-rollup',
      'run-failed': '/runs/run-01?task=check',
      'run-running': '/runs/run-00?task=per-machine',
      device: `/devices/${site.device.id}`,
      fleet: '/',
    };
    for (const [name, path] of Object.entries(views)) {
      await page.setViewportSize(WIDE);
      await page.emulateMedia({ colorScheme: 'light' });
      await site.goto(path);
      await page.getByText('Live', { exact: true }).waitFor();
      await page.locator('.panel, .fleet-row').first().waitFor();
      if (name.startsWith('run-')) await page.locator('.log').waitFor();
      await save(`${name}-wide`);
      if (name === 'runs') {
        const panel = { x: 0, y: 0, width: WIDE.width, height: 610 };
        await page.screenshot({ path: join(FOLDER ?? '', 'runs.png'), clip: panel });
      }
      await page.emulateMedia({ colorScheme: 'dark' });
      await save(`${name}-dark`);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.setViewportSize(NARROW);
      await save(`${name}-narrow`);
    }
    await page.setViewportSize(WIDE);
    await site.goto('/jobs/nightly-rollup');
    await page.getByRole('button', { name: 'Run now…' }).click();
    await page.locator('dialog').screenshot({ path: join(FOLDER ?? '', 'dialog-run.png') });
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Backfill…' }).click();
    await page.getByRole('button', { name: 'Show what would run' }).click();
    await page.getByRole('button', { name: 'Start 3 runs' }).waitFor();
    await page.locator('dialog').screenshot({ path: join(FOLDER ?? '', 'dialog-backfill.png') });
    await site.beat(batchReportOf(), 100);
    await site.goto('/devices');
    await page.getByText('No contact').first().waitFor({ timeout: 30_000 });
    await site.goto('/runs/run-01');
    await page.getByText(/not reachable since/).waitFor({ timeout: 30_000 });
    await save('run-away');
  },
  240_000,
);
