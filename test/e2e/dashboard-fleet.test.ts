/**
 * A fleet of real agents on the page: a promise that is broken, an alert that a person takes, a
 * version that goes out in batches and waits for a person, all against the control plane as users
 * run it.
 */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { type Browsed, openBrowser } from '../support/chromium.ts';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { Agents } from './batch/fleet-site.ts';
import { PageSite } from './dashboard/page-site.ts';

/** Readings every moment; a window that no test lives to see the end of. */
const SLOW = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: slow-oven }
sources:
  device: { host: { every: 200ms } }
steps:
  - id: hourly
    window: { tumbling: 1d }
    aggregate: { n: "count()" }
  - { id: busy, from: device, alert: { when: "payload.load1 >= 0", by: "'oven'" } }
sinks:
  - { from: hourly, results: { dataset: oven } }
  - { from: busy, alerts: {} }
sla:
  - { name: fresh, freshness: 2s }
`;

const press = (version: number): string => `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: press-load, labels: { release: "${version}" } }
rollout: { batches: [1, 100%], approval: manual }
sources:
  device: { host: { every: 200ms } }
steps:
  - id: load
    window: { tumbling: 1s }
    aggregate: { load: "avg(payload.load1)", n: "count()" }
sinks:
  - { from: load, results: { dataset: press-load } }
`;

async function open(): Promise<Browsed & { readonly site: PageSite }> {
  const site = await PageSite.start();
  const agents = new Agents(tempDir('page-fleet'));
  onTestFinished(() => agents.stop());
  await agents.start(site, 'press-1');
  await agents.start(site, 'press-2');
  const browsed = await openBrowser();
  await browsed.page.goto(site.signInLink());
  await browsed.page.getByText('Live', { exact: true }).waitFor();
  return { site, ...browsed };
}

const line = (page: Page, text: string) => page.locator('.attention-line', { hasText: text });

describeWith(['chromium'], 'a fleet of real agents on the page', () => {
  test('breaks a promise and raises an alert, which a person takes', async () => {
    const { site, page, errors } = await open();
    await site.api('POST', '/jobs', SLOW);
    const broken = line(page, 'SLA fresh of slow-oven is breached on 2 devices');
    await broken.waitFor({ timeout: 60_000 });
    await page.locator('[data-segment=breached]').getByText('2').waitFor();
    await page.locator('[data-segment=breached]').click();
    const row = page.locator('[data-sla="slow-oven/fresh"]');
    await row.getByText('Breached', { exact: true }).waitFor();
    await row.getByRole('button', { name: /Devices and history/ }).press('Enter');
    const device = page.locator('.sla-device', { hasText: 'press-2' });
    await device.locator('.strip-breached').waitFor();

    await page.getByRole('link', { name: 'Alerts', exact: true }).click();
    await page.getByLabel('Source').selectOption('job');
    const alert = page.locator('[data-alert]', { hasText: 'busy' }).first();
    await alert.waitFor({ timeout: 30_000 });
    const id = (await alert.getAttribute('data-alert')) ?? '';
    await alert.getByRole('button', { name: /^Acknowledge/ }).press('Enter');
    await page.locator(`[data-alert="${id}"][data-state=acknowledged]`).waitFor();
    const told = await site.api<{ state: string }>('GET', `/alerts/${id}`);
    expect(told.state).toBe('acknowledged');

    await page
      .locator(`[data-alert="${id}"]`)
      .getByRole('button', { name: /^Silence/ })
      .click();
    await page.getByLabel('Why, for colleagues').fill('the oven is being moved');
    await page.getByRole('dialog').getByRole('button', { name: 'Silence' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'Silences' }).click();
    await page.getByText('the oven is being moved').waitFor();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByText(/acknowledged or silenced/).waitFor();
    expect(errors).toEqual([]);
  }, 180_000);

  test('gets a version in batches, the second after a person approved it', async () => {
    const { site, page, errors } = await open();
    await site.api('POST', '/jobs', press(1));
    await page.goto(`${site.url}/jobs/press-load/rollout`);
    const state = page.locator('.rollout-state');
    const approve = async (): Promise<void> => {
      await page.locator('[data-phase=awaitingApproval]').waitFor({ timeout: 60_000 });
      await page.getByRole('button', { name: 'Approve…' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Approve batch 2 of 2' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await state.getByText('Succeeded').waitFor({ timeout: 60_000 });
    };
    await approve();
    await site.api('POST', '/jobs', press(2));

    await page.getByRole('link', { name: 'Overview' }).click();
    const waits = line(page, 'press-load version 2: batch 2 of 2 waits for approval');
    await waits.getByRole('link', { name: /^Decide/ }).click({ timeout: 60_000 });
    await page.locator('[data-batch="1"]').getByText('1 of 1').waitFor();
    await page.locator('[data-batch="2"]').getByText('waits for approval').waitFor();
    await page.locator('[data-state=updated]').getByText('1', { exact: true }).waitFor();
    await approve();
    await page.locator('[data-state=updated]').getByText('2', { exact: true }).waitFor();
    await page.locator('.history', { hasText: 'version 1' }).waitFor();

    await page.getByRole('button', { name: 'Undo…' }).click();
    await page.getByRole('dialog').getByText('goes back from version 2').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(errors).toEqual([]);
  }, 180_000);
});
