/** The pages of runs in a real browser, over a real control plane and a device that answers. */
import type { BatchCommand } from '@runnel/shared/protocol/runs.ts';
import { expect, test } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { batchReportOf, runRows, RunSite } from './dashboard/run-site.ts';

describeWith(['chromium'], 'the pages of runs', () => {
  test('show a grid of runs and tasks that grows by itself and is walked by keys', async () => {
    const site = await RunSite.start();
    const { page, errors } = site.browsed;
    await site.goto('/jobs/nightly-rollup/runs');
    await page.getByText('No runs yet').waitFor();

    await site.device.send([
      ...runRows('run-old', 2, 'failed'),
      ...runRows('run-new', 1, 'success'),
    ]);
    const grid = page.getByRole('grid', { name: 'Runs of nightly-rollup' });
    await grid.waitFor();
    const names = await grid.locator('tbody th').allTextContents();
    expect(names).toEqual(['daily', 'machines', 'per-machine', 'check', 'share', 'complain']);
    const states = await grid
      .locator('thead a')
      .evaluateAll((cells) => cells.map((cell) => cell.getAttribute('href')));
    const of = `?agent=${site.device.id}`;
    expect(states).toEqual([`/runs/run-old${of}`, `/runs/run-new${of}`]);
    expect(await grid.locator('.mapped').allTextContents()).toEqual(['4/4', '4/4']);
    await grid.getByRole('link', { name: /^check: failed/ }).waitFor();

    await site.device.send(runRows('run-now', 0, 'running'));
    await grid
      .getByRole('link', { name: /: running, not|: running/ })
      .first()
      .waitFor();
    await grid.locator('[data-cell="0 2"]').focus();
    for (const key of [
      'ArrowLeft',
      'ArrowLeft',
      'ArrowDown',
      'ArrowDown',
      'ArrowDown',
      'ArrowDown',
    ]) {
      await page.keyboard.press(key);
    }
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/runs\/run-old\?agent=[^&]+&task=check$/);
    await page.getByText('3 rows lack machine').first().waitFor();
    await page.getByRole('link', { name: 'weekly-report' }).waitFor();
    expect(errors.filter((text) => !text.includes('503'))).toEqual([]);
  }, 120_000);

  test('follow the log on the device, and say since when it cannot be reached', async () => {
    const site = await RunSite.start();
    const { page } = site.browsed;
    const line = (n: number, text: string) => ({
      ...{ n, text, at: Date.now(), level: 'info' as const },
      ...{ task: 'daily', index: null, attempt: 1 },
    });
    let said = [line(1, 'reads the journal')];
    site.device.answering((command) =>
      command.action === 'logs'
        ? { lines: said.filter(({ n }) => n > command.after), open: true }
        : {},
    );
    await site.beat(batchReportOf());
    await site.device.send(runRows('run-now', 0, 'running'));
    await site.goto('/runs/run-now');
    await page.getByText('reads the journal').waitFor();
    said = [...said, line(2, 'writes 48 rows')];
    await page.getByText('writes 48 rows').waitFor();

    await site.beat(batchReportOf(), 100);
    await page.getByText(/not reachable since \d{4}-/).waitFor({ timeout: 30_000 });
    expect(await page.getByText('reads the journal').count()).toBe(1);
  }, 120_000);

  test('run a job, fill a range after showing it, pause it, rerun what failed', async () => {
    const site = await RunSite.start();
    const { page } = site.browsed;
    const commands: BatchCommand[] = [];
    site.device.answering((command) => {
      commands.push(command);
      if (command.action === 'backfill' && command.dryRun) {
        return { partitions: ['2026-11-20', '2026-11-21'] };
      }
      return { runs: [{ run: 'run-1', partition: '2026-11-21', state: 'queued' }] };
    });
    await site.beat(batchReportOf());
    await site.goto('/jobs/nightly-rollup');
    await page.getByText('every day at 00:15').waitFor();
    await page.getByRole('button', { name: 'Run now…' }).click();
    await page.getByLabel(/minRms/).fill('much');
    await page.getByText('is no number').waitFor();
    expect(await page.getByRole('button', { name: 'Run on 1 device' }).isDisabled()).toBe(true);
    await page.getByLabel(/minRms/).fill('0.5');
    await page.getByLabel(/^mode/).selectOption('"exact"');
    await page.getByRole('button', { name: 'Run on 1 device' }).click();
    await page.locator('dialog').getByRole('link', { name: '2026-11-21' }).waitFor();
    expect(commands.at(-1)).toMatchObject({
      ...{ action: 'run', partition: null, parameters: { minRms: 0.5, mode: 'exact' } },
    });
    await page.getByRole('button', { name: 'Close' }).click();

    await page.getByRole('button', { name: 'Backfill…' }).click();
    await page.getByLabel('First day').fill('2026-11-20');
    await page.getByLabel('Last day').fill('2026-11-21');
    await page.getByRole('button', { name: 'Show what would run' }).click();
    await page.getByText('2026-11-20 2026-11-21').waitFor();
    expect(commands.at(-1)).toMatchObject({
      ...{ dryRun: true, from: Date.parse('2026-11-20T00:00+01:00') },
      to: Date.parse('2026-11-22T00:00+01:00'),
    });
    await page.getByRole('button', { name: 'Start 2 runs' }).click();
    await page.locator('dialog').getByRole('link', { name: '2026-11-21' }).waitFor();
    expect(commands.at(-1)).toMatchObject({ action: 'backfill', dryRun: false });
    await page.getByRole('button', { name: 'Close' }).click();

    await page.getByRole('button', { name: 'Pause…' }).click();
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByText('Paused', { exact: true }).waitFor();

    await site.device.send(runRows('run-1', 1, 'failed'));
    await site.goto('/runs/run-1');
    await page.getByRole('button', { name: 'Rerun failed…' }).click();
    await page.getByText('as try 2').waitFor();
    await page.getByRole('button', { name: 'Rerun', exact: true }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    expect(commands.find(({ action }) => action === 'rerun')).toMatchObject({ from: null });
  }, 120_000);

  test('put a device whose newest run failed first, with the cause and the way there', async () => {
    const site = await RunSite.start();
    const { page } = site.browsed;
    await site.device.send(runRows('run-bad', 1, 'failed'));
    const endedAt = Date.now();
    const lastRun = { run: 'run-bad', partition: '2026-11-21', state: 'failed', endedAt } as const;
    await site.beat(batchReportOf({ lastRun }));
    await site.goto('/devices');
    await page.getByText('1 device, 1 needs attention').waitFor();
    const row = page.getByRole('row', { name: /press-1/ });
    await row.getByText('3 rows lack machine').waitFor();
    await row.getByRole('link', { name: 'nightly-rollup/2026-11-21 failed' }).click();
    await page.waitForURL(/\/runs\/run-bad\?agent=/);
  }, 120_000);

  test('offer a viewer nothing to press', async () => {
    const site = await RunSite.start();
    await site.device.send(runRows('run-1', 1, 'failed'));
    const { page } = site.browsed;
    await page.route('**/api/v1/me', (route) => route.fulfill({ json: { role: 'viewer' } }));
    await site.goto('/runs/run-1');
    await page.getByRole('heading', { name: 'Tasks' }).waitFor();
    expect(await page.getByRole('button', { name: /Rerun|Mark|Cancel/ }).count()).toBe(0);
  }, 60_000);
});
