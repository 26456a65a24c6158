/**
 * A batch job on the page from its first run to its repair, with a real control plane, a real agent
 * that runs it, and a real browser, at both widths and in both schemes. With
 * `PICTURES=FOLDER` it leaves what it saw there.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
// First: what is described for OpenAPI must be made after the library has been loaded.
import { TestControlPlane } from '../support/control-plane.ts';
import { openBrowser } from '../support/chromium.ts';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { Agents } from './batch/fleet-site.ts';

const FOLDER = process.env.PICTURES;
const SIZES = { narrow: { width: 360, height: 800 }, wide: { width: 1440, height: 900 } } as const;

const jobOf = (flag: string): string => `apiVersion: runnel/v1
kind: BatchJob
metadata: { name: line-check }
schedule: { cron: "30 2 * * *", timezone: Europe/Paris }
partition: { every: 1d, timezone: Europe/Paris }
parameters: { least: { type: number, default: 2, description: "Fewer machines are a failure" } }
tasks:
  - { id: machines, value: { value: [press-1, press-2, kiln-1] } }
  - id: per-machine
    needs: [machines]
    forEach: tasks.machines.output
    value: { value: "{{ item }}" }
  - id: gate
    needs: [per-machine]
    command: { run: [/bin/sh, -c, "echo looks for the flag >&2; test -e ${flag}"] }
  - { id: share, needs: [gate], value: { value: "{{ partition.date }}" } }
  - { id: complain, needs: [gate], trigger: one_failed, value: { value: 1 } }
`;

/** In both schemes and widths nothing is wider than the window. */
async function look(page: Page, name: string): Promise<void> {
  for (const scheme of ['light', 'dark'] as const) {
    for (const [width, size] of Object.entries(SIZES)) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme: scheme });
      await page.reload();
      await page.getByText('Live', { exact: true }).waitFor();
      await page.locator('.panel').first().waitFor();
      await page.locator('.loading').first().waitFor({ state: 'detached' });
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
      expect(wide, `${name} ${scheme} ${width}`).toBeLessThanOrEqual(size.width);
      if (FOLDER === undefined) continue;
      const path = join(FOLDER, `agent-${name}-${scheme}-${width}.png`);
      await page.screenshot({ path, fullPage: true });
    }
  }
}

describeWith(['chromium'], 'the page of a batch job on a real agent', () => {
  test('shows its run, why it failed and its log, and repairs it', async () => {
    const dir = tempDir('page-batch');
    const control = await TestControlPlane.start();
    onTestFinished(() => control.close());
    const agents = new Agents(dir);
    onTestFinished(() => agents.stop());
    await agents.start(control, 'press-1');
    const flag = join(dir, 'flag');
    const applied = await control.post('/jobs', jobOf(flag));
    expect(applied.status, applied.text).toBe(201);
    const running = async (): Promise<boolean> =>
      (await control.get('/jobs/line-check')).json.counts.running === 1;
    await waitFor('the job to run', running, 30_000);

    const { page, errors } = await openBrowser();
    await page.goto((await control.post('/sign-in-links')).json.url as string);
    await page.getByText('Live', { exact: true }).waitFor();
    await page.goto(`${control.url}/jobs/line-check/runs`);
    await page.getByText('No runs yet').waitFor();
    await look(page, 'runs-empty');

    await page.goto(`${control.url}/jobs/line-check`);
    await page.getByText('every day at 02:30').waitFor();
    await look(page, 'job');
    await page.getByRole('button', { name: 'Run now…' }).click();
    await page.getByRole('button', { name: 'Run on 1 device' }).click();
    await page.locator('dialog').getByRole('link').first().waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.goto(`${control.url}/jobs/line-check/runs`);
    const grid = page.getByRole('grid', { name: 'Runs of line-check' });
    await grid.getByRole('link', { name: /^gate: failed/ }).waitFor();
    await grid.getByRole('link', { name: /^share: upstream failed/ }).waitFor();
    expect(await grid.locator('.mapped').allTextContents()).toEqual(['3/3']);
    await look(page, 'runs-failed');

    await grid.getByRole('link', { name: /^gate: failed/ }).click();
    await page.waitForURL(/\/runs\/\w+\?agent=[^&]+&task=gate$/);
    await page.locator('.log').getByText('stderr: looks for the flag').waitFor();
    await look(page, 'run-failed');
    writeFileSync(flag, '');
    await page.getByRole('button', { name: 'Rerun failed…' }).click();
    await page.getByText('as try 2').waitFor();
    await page.getByRole('button', { name: 'Rerun', exact: true }).click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator('.lede').getByText('Success').waitFor();
    expect(await page.getByRole('button', { name: 'Rerun failed…' }).count()).toBe(0);
    await look(page, 'run-mended');
    expect(errors).toEqual([]);
  }, 180_000);
});
