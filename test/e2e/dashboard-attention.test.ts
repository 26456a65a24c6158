/**
 * The overview in a real browser over a real control plane, with devices that speak the protocol:
 * what needs a person stands first and leads to where one acts, and nothing old looks new.
 */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { type Browsed, openBrowser } from '../support/chromium.ts';
import { describeWith } from '../support/programs.ts';
import { PageSite } from './dashboard/page-site.ts';
import { enrolDevice, jobReport, ProtocolDevice } from './dashboard/protocol-device.ts';

const MINUTE = 60_000;

const jobOf = (limit: number): string => `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: bearing-health }
parameters:
  limit: { type: number, default: ${limit}, description: "Above it a bearing is hot" }
sources:
  device: { host: { every: 1s } }
steps:
  - filter: "payload.load1 > params.limit"
sinks:
  - { results: { dataset: bearing-rms } }
`;

/** One device that is well, one with a full disk, one that went away, one that waits. */
async function open(): Promise<Browsed & { readonly site: PageSite; readonly ill: string }> {
  const site = await PageSite.start();
  const token = await site.joinToken();
  await site.api('POST', '/jobs', jobOf(1));
  await site.api('POST', '/jobs', jobOf(2));
  const join = async (name: string): Promise<ProtocolDevice> =>
    ProtocolDevice.connect(await enrolDevice(site.url, token, name, { site: 'lyon' }));
  const well = await join('press-1');
  await well.beat({ jobs: [jobReport({ name: 'bearing-health', version: 2 })] });
  const ill = await join('press-2');
  await ill.beat({
    jobs: [jobReport({ name: 'bearing-health', version: 2 })],
    conditions: [
      {
        ...{ type: 'storage', axis: 'storage', severity: 'error', reason: 'Full' },
        ...{ message: 'The disk is full', since: Date.now() - 71 * MINUTE },
      },
    ],
  });
  await (await join('press-3')).beat({ intervalMs: 200 });
  await enrolDevice(site.url, token, 'press-1', { site: 'lyon' });
  const browsed = await openBrowser();
  await browsed.page.goto(site.signInLink());
  await browsed.page.getByText('Live', { exact: true }).waitFor();
  return { site, ill: ill.id, ...browsed };
}

function line(page: Page, text: string) {
  return page.locator('.attention-line', { hasText: text });
}

describeWith(['chromium'], 'the overview', () => {
  test('says what needs a person, where, since when and why, and leads there', async () => {
    const { page, site, ill, errors } = await open();
    await line(page, 'press-3 is offline').waitFor({ timeout: 30_000 });
    const disk = line(page, 'press-2: storage');
    await disk.getByText('The disk is full').waitFor();
    await disk.getByText('for 1 h').waitFor();
    await line(page, 'press-1 waits for approval')
      .getByRole('link', { name: /Decide/ })
      .click();
    await page.getByRole('button', { name: 'Approve…' }).waitFor();

    await page.getByRole('link', { name: 'Overview' }).click();
    await disk.getByRole('link', { name: 'See the device: press-2: storage' }).click();
    expect(page.url()).toBe(`${site.url}/devices/${ill}`);
    const storage = page.locator('[data-axis=storage]');
    await storage.getByText('Error').waitFor();
    await page.locator('[data-axis=connection]').getByText('OK').waitFor();

    await page.getByRole('link', { name: 'Overview' }).click();
    await page.locator('[data-segment=offline]').click();
    await page.getByText('1 device shown').waitFor();
    expect(page.url()).toBe(`${site.url}/devices?state=offline`);
    await page.getByRole('link', { name: 'press-3' }).waitFor();
    // A bookmark of an earlier release, whose first page was the list of devices.
    await page.goto(`${site.url}/?state=offline&label=site%3Dlyon`);
    await page.getByRole('heading', { name: 'Devices' }).waitFor();
    expect(page.url()).toBe(`${site.url}/devices?state=offline&label=site%3Dlyon`);
    expect(errors).toEqual([]);
  }, 120_000);

  test('works by keyboard alone, with a focus that can be seen', async () => {
    const { page, site } = await open();
    await line(page, 'press-3 is offline').waitFor({ timeout: 30_000 });
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toContain('Add device');
    const seen = await page.evaluate(
      '(({ outlineStyle, outlineWidth }) => `${outlineStyle} ${outlineWidth}`)' +
        '(getComputedStyle(document.activeElement))',
    );
    expect(seen).toBe('solid 2px');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    const first = await page.locator('.attention-what').first().textContent();
    expect(await page.evaluate('document.activeElement.textContent')).toBe(first);

    await page.goto(`${site.url}/jobs/bearing-health/versions`);
    const tab = page.getByRole('link', { name: 'Rollout', exact: true });
    await tab.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/rollout$/);
    // The address changes before the new page is there to be focused.
    await page.locator('#content:focus').waitFor();
  }, 120_000);

  test('has behind it a job whose versions are compared, any with any', async () => {
    const { page, site } = await open();
    await site.api('POST', '/jobs', jobOf(3));
    await page.goto(`${site.url}/jobs/bearing-health/versions`);
    await page.getByText('1 line added, 1 line removed').waitFor();
    await page.locator('.diff-removed', { hasText: 'default: 2' }).waitFor();
    await page.locator('.diff-added', { hasText: 'default: 3' }).waitFor();
    await page.getByLabel('From').selectOption('1');
    await page.locator('.diff-removed', { hasText: 'default: 1' }).waitFor();
    expect(page.url()).toContain('?from=1&to=3');
    await page.getByLabel('To').selectOption('1');
    await page.getByText('The two texts are the same.').waitFor();
  }, 120_000);

  test('and every other page fits, asks one host, and is grey when that was killed', async () => {
    const { page, site, ill, errors, requests } = await open();
    const job = '/jobs/bearing-health';
    const paths = [
      ...['/', '/devices', `/devices/${ill}`, '/jobs', '/slas', '/events', '/devices/add'],
      ...[job, `${job}/rollout`, `${job}/versions`, `${job}/parameters`, `${job}/slas`],
      ...['/alerts', '/alerts/history', '/alerts/silences', '/alerts/receivers'],
      '/alerts/notifications',
    ];
    for (const path of paths) {
      await page.goto(site.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.locator('.loading').first().waitFor({ state: 'detached' });
      for (const [width, colorScheme] of [
        [360, 'dark'],
        [768, 'light'],
        [1440, 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        const over = await page.evaluate<number>(
          'document.documentElement.scrollWidth - innerWidth',
        );
        expect(over, `${path} at ${width}`).toBeLessThanOrEqual(0);
        await page.locator(`html[data-theme=${colorScheme}]`).waitFor({ state: 'attached' });
      }
      expect(await page.locator('.error-note').count(), path).toBe(0);
    }
    expect(errors).toEqual([]);
    expect([...new Set(requests.map((url) => new URL(url).host))]).toEqual([
      new URL(site.url).host,
    ]);

    await page.goto(site.url);
    await line(page, 'press-3 is offline').waitFor({ timeout: 30_000 });
    expect(await page.locator('.tone-ok').count()).toBeGreaterThan(0);
    await site.killControl();
    await page.getByText(/No contact with the control plane since/).waitFor({ timeout: 20_000 });
    expect(await page.locator('.tone-ok').count()).toBe(0);
    const filter = await page.evaluate('getComputedStyle(document.querySelector("main")).filter');
    expect(filter).toBe('grayscale(1)');
    await page.locator('.attention-line .state', { hasText: 'Was error' }).first().waitFor();
  }, 180_000);
});
