/**
 * The page in a real browser, against the control plane as users run it, with a real agent or with
 * devices that speak the protocol over the real NATS.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { type Browsed, openBrowser } from '../support/chromium.ts';
import { bins, start } from '../support/processes.ts';
import { describeWith } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';
import { PageSite } from './dashboard/page-site.ts';
import { enrolDevice, jobReport, ProtocolDevice } from './dashboard/protocol-device.ts';

async function open(): Promise<Browsed & { readonly site: PageSite }> {
  const site = await PageSite.start();
  const browsed = await openBrowser();
  const { url } = await site.api<{ url: string }>('POST', '/sign-in-links');
  await browsed.page.goto(url);
  await browsed.page.getByText('Live', { exact: true }).waitFor();
  return { site, ...browsed };
}

async function device(site: PageSite, name: string, labels = {}): Promise<ProtocolDevice> {
  return ProtocolDevice.connect(await enrolDevice(site.url, await site.joinToken(), name, labels));
}

const JOB = `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: own-health }
placement: { selector: "site=lyon" }
sources:
  device: { host: { every: 200ms } }
steps:
  - id: health
    window: { tumbling: 1s }
    aggregate: { load: "avg(payload.load1)", readings: "count()" }
sinks:
  - { from: health, results: { dataset: own-health } }
`;

/** Runs the command as it stands on the page: one half to its end, the other as a process. */
function runOnDevice(site: PageSite, command: string): void {
  const bin = join(site.dir, 'bin');
  const cwd = join(site.dir, 'device');
  mkdirSync(bin);
  mkdirSync(cwd);
  symlinkSync(bins.agent, join(bin, 'runnel-agent'));
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` };
  // The device of the test has the program on its path instead of a checkout for npx.
  const [enroll = '', run = ''] = command.replaceAll('npx ', '').split(' && ');
  execFileSync('sh', ['-c', enroll], { cwd, env, stdio: 'pipe' });
  const args = run.split(' ').slice(1);
  const dataAt = args.indexOf('--data') + 1;
  args[dataAt] = join(cwd, args[dataAt] ?? '');
  const agent = start(bins.agent, args, join(site.dir, 'agent.log'));
  onTestFinished(() => agent.end('SIGTERM'));
}

/** Wider than the window: something is cut off or the page scrolls sideways. */
async function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
}

describeWith(['chromium'], 'the page', () => {
  test('is signed in by a link that works once, and says without one how to get it', async () => {
    const site = await PageSite.start();
    const { page, context } = await openBrowser();
    await page.goto(site.url);
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    await page.getByText('npx runnel-control sign-in-link --data DIR').waitFor();

    const link = site.signInLink();
    await page.goto(link);
    await page.getByRole('heading', { name: 'No devices yet' }).waitFor();
    await context.clearCookies();
    const again = await page.goto(link);
    expect(again?.status()).toBe(403);
  }, 120_000);

  test('shows a device from one command to its first results, with nothing pressed', async () => {
    const { site, page, errors } = await open();
    await page.getByRole('link', { name: 'Add the first device' }).click();
    await page.getByLabel('Labels, fixed').fill('site=lyon');
    await page.getByRole('button', { name: 'Make the command' }).click();
    const command = (await page.locator('#enroll-command').textContent()) ?? '';
    await page.getByText('Waiting for the device').waitFor();

    runOnDevice(site, command);
    await page.getByText('is connected').waitFor({ timeout: 60_000 });
    await page.getByText('No job is for its labels yet').waitFor();
    await site.api('POST', '/jobs', JOB);
    await page.getByText('1 of 1 job running').waitFor({ timeout: 30_000 });
    await page.getByText('First result, of').waitFor({ timeout: 30_000 });
    await page.getByRole('link', { name: 'Open' }).click();
    await page.getByText('site=lyon').or(page.locator('.label')).first().waitFor();
    await page.getByRole('heading', { name: 'Host' }).waitFor();

    const job = page.locator('.job-card', { hasText: 'own-health' });
    await job.getByText('running', { exact: true }).waitFor({ timeout: 30_000 });
    await page.locator('.chart canvas').first().waitFor({ timeout: 30_000 });
    await page.locator('.loading').first().waitFor({ state: 'detached' });

    await job.getByRole('link', { name: 'own-health' }).click();
    await page.locator('.chart canvas').waitFor({ timeout: 30_000 });
    const newest = page.locator('.table tbody tr').first();
    const before = await newest.textContent();
    await waitFor(
      'a newer result, by itself',
      async () => (await newest.textContent()) !== before,
      20_000,
    );
    await page.getByText('1 of 1 running').waitFor();
    await page.getByText('site=lyon', { exact: true }).waitFor();
    expect(errors).toEqual([]);
  }, 180_000);

  test('goes grey when its server is gone, says since when, and comes back by itself', async () => {
    const { site, page } = await open();
    await (await device(site, 'press-1')).beat();
    await page.goto(`${site.url}/devices`);
    await page.locator('.fleet-row').getByText('Online', { exact: true }).waitFor();
    expect(await page.locator('.fleet-row .tone-ok').count()).toBe(1);

    await site.killControl();
    const banner = page.locator('.banner');
    await banner
      .getByText(/No contact with the control plane since \d\d:\d\d:\d\d/)
      .waitFor({ timeout: 20_000 });
    expect(await page.locator('.tone-ok').count()).toBe(0);
    await page.getByText('Was online').waitFor();
    await page.locator('.frame.stale').waitFor();

    await site.startControl();
    await banner.waitFor({ state: 'detached', timeout: 40_000 });
    await page.getByRole('link', { name: 'press-1' }).waitFor();
    expect(await page.locator('.frame.stale').count()).toBe(0);
  }, 180_000);

  test('says what is wrong with a device, what runs and what was attempted', async () => {
    const { site, page } = await open();
    const press = await device(site, 'press-1', { site: 'lyon' });
    await press.beat({
      conditions: [
        {
          type: 'storage',
          axis: 'storage',
          severity: 'error',
          reason: 'Full',
          message: 'The disk is full',
          since: Date.now() - 3_600_000,
        },
      ],
      jobs: [
        jobReport({
          name: 'bearing-health',
          version: 6,
          attempted: { version: 7, phase: 'refused', reason: 'policy: no http', at: Date.now() },
          late: 17,
          dropped: { payload_too_large: 2 },
        }),
      ],
    });
    await page.goto(`${site.url}/devices`);
    const row = page.getByRole('row', { name: /press-1/ });
    await row.getByText('The disk is full').waitFor();
    await page.getByText('1 device, 1 needs attention').waitFor();
    await page.getByRole('link', { name: 'press-1' }).press('Enter');

    await page.locator('.condition', { hasText: 'The disk is full' }).waitFor();
    await page
      .getByText(/for 1 h/)
      .first()
      .waitFor();
    const job = page.locator('.job-card');
    await job.getByText('version 6').waitFor();
    await job.getByText(/Last attempted: version 7, refused/).waitFor();
    await job.getByText('policy: no http').waitFor();
    await job.getByText('Dropped: payload_too_large').waitFor();
  }, 120_000);

  test('treats markup in names and messages as text, and asks no other host', async () => {
    const { site, page, errors, requests } = await open();
    const name = '<img src=x onerror="document.title=1">';
    const evil = await device(site, name, { site: 'lyon' });
    const message = '<script>document.title=2</script><b>bold</b>';
    const condition = { axis: 'jobs', severity: 'error', reason: 'X', since: 1 } as const;
    await evil.beat({ conditions: [{ ...condition, type: 'jobs/x', message }] });
    await page.locator('.attention-line', { hasText: message }).waitFor();
    await page.goto(`${site.url}/devices`);
    await page.getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { name, exact: true }).waitFor();
    await page.getByText(message, { exact: true }).first().waitFor();
    expect(await page.title()).toBe('Device · Runnel');
    for (const path of ['/', '/jobs', '/events', '/devices/add', '/no/such/page']) {
      await page.goto(site.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
    }
    expect(errors).toEqual([]);
    const hosts = new Set(requests.map((url) => new URL(url).host));
    expect([...hosts]).toEqual([new URL(site.url).host]);
  }, 120_000);

  test('revokes a device only after it asked, and approves one that waits', async () => {
    const { site, page } = await open();
    const first = await device(site, 'press-1');
    await first.beat();
    await enrolDevice(site.url, await site.joinToken(), 'press-1');
    await page.goto(`${site.url}/devices`);
    await page.getByRole('button', { name: /for approval/ }).click();
    await page.locator('.fleet-row', { hasText: 'Waits for approval' }).getByRole('link').click();
    await page.getByRole('button', { name: 'Approve…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    await page.getByText('Never connected').first().waitFor();

    await page.goto(`${site.url}/devices/${first.id}`);
    await page.getByRole('button', { name: 'Revoke…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Revoke…' }).click();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('Revoked: it can no longer connect.').waitFor();
    const agent = await site.api<{ status: string }>('GET', `/agents/${first.id}`);
    expect(agent.status).toBe('revoked');
  }, 120_000);

  test('lists many devices worst first, renders those in sight, works by keyboard', async () => {
    const { site, page } = await open();
    const token = await site.joinToken();
    const count = 120;
    for (let batch = 0; batch < count / 20; batch += 1) {
      const names = Array.from({ length: 20 }, (_, index) => `press-${batch * 20 + index}`);
      await Promise.all(names.map((name) => enrolDevice(site.url, token, name, { site: 'lyon' })));
    }
    const gone = await device(site, 'zz-gone');
    await gone.beat({ intervalMs: 200 });
    await page.goto(`${site.url}/devices`);
    await page.getByText('121 devices').first().waitFor({ timeout: 30_000 });
    const rows = page.locator('.fleet-row');
    await rows.first().getByText('No contact').waitFor({ timeout: 60_000 });
    expect(await rows.first().getByRole('link').textContent()).toBe('zz-gone');
    expect(await rows.count()).toBeLessThan(60);
    expect(await page.getByRole('table').getAttribute('aria-rowcount')).toBe('122');

    await page.keyboard.press('/');
    await page.keyboard.type('press-11 site=lyon');
    await page.getByText('11 devices shown').waitFor();
    expect(page.url()).toContain('q=press-11');
    await rows.first().getByRole('link').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'press-110' }).waitFor();
    await page.goBack();
    await page.getByText('11 devices shown').waitFor();
  }, 180_000);

  test('fits 360 to 1440 pixels in both themes', async () => {
    const { site, page } = await open();
    const press = await device(site, 'a-device-with-a-rather-long-name-from-an-inventory-system', {
      site: 'lyon',
      'some.long/label-key': 'with-a-value-of-some-length-too',
    });
    await press.beat({ jobs: [jobReport({ name: 'bearing-health' })] });
    await site.api('POST', '/jobs', JOB);
    const paths = ['/', '/jobs', '/jobs/own-health', '/events', '/devices/add'];
    for (const path of [...paths, `/devices/${press.id}`]) {
      for (const [width, colorScheme] of [
        [360, 'dark'],
        [768, 'light'],
        [1440, 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await page.goto(site.url + path);
        await page.getByRole('heading', { level: 1 }).waitFor();
        expect(await overflow(page), `${path} at ${width}`).toBeLessThanOrEqual(0);
        expect(await page.locator('html').getAttribute('data-theme')).toBe(colorScheme);
      }
    }
    await page.getByRole('button', { name: 'Use the light theme' }).click();
    await page.reload();
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('light');
  }, 180_000);
});
