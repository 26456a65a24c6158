/**
 * What people change on the page, with the keyboard alone: receivers of alerts, and parameters of a
 * job layer by layer, in a real browser over a real control plane.
 */
import type { Locator, Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { type Browsed, openBrowser } from '../support/chromium.ts';
import { TestControlPlane } from '../support/control-plane.ts';
import { Device } from '../support/device.ts';
import { httpServer } from '../support/http-server.ts';
import { describeWith } from '../support/programs.ts';

const JOB = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: ovens }
parameters:
  limit: { type: number, default: 0.8, min: 0, max: 1 }
  mode: { schema: { type: string, enum: [fast, slow] }, default: fast }
sources:
  device: { host: { every: 1s } }
steps:
  - filter: "payload.load1 > params.limit && params.mode == 'fast'"
sinks:
  - { results: { dataset: ovens } }
`;

interface Site extends Browsed {
  readonly control: TestControlPlane;
}

async function open(): Promise<Site> {
  const control = await TestControlPlane.start();
  onTestFinished(() => control.close());
  const applied = await control.post('/jobs', JOB, {
    headers: { 'content-type': 'application/yaml' },
  });
  expect(applied.status, applied.text).toBeLessThan(300);
  const device = await Device.join(control, { name: 'press-7', labels: { site: 'lyon' } });
  onTestFinished(() => device.close());
  const browsed = await openBrowser();
  const link = await control.post('/sign-in-links');
  await browsed.page.goto(link.json.url as string);
  await browsed.page.getByText('Live', { exact: true }).waitFor();
  return { control, ...browsed };
}

const dialogOf = (page: Page): Locator => page.locator('dialog[open]');

/** The field that has the focus, a moment after what is shown: who was refused goes on there. */
const focusOn = (page: Page, which: string): Promise<void> =>
  page.locator(`${which}:focus`).waitFor();

/** A page that asked for something was answered 4xx, which a browser says aloud. */
const unexpected = (errors: readonly string[]): string[] =>
  errors.filter((text) => !/status of 4\d\d/.test(text));

describeWith(['chromium'], 'people who change things on the page', () => {
  test('add, test, change and delete a receiver; no secret comes back', async () => {
    const { control, page, errors } = await open();
    let status = 500;
    const hook = await httpServer(() => ({ status }));
    await page.goto(`${control.url}/alerts/receivers`);
    await page.getByText('Nobody is told of alerts yet').waitFor();
    await page.getByRole('button', { name: 'Add a receiver…' }).press('Enter');
    const dialog = dialogOf(page);

    // What cannot be is said at its field, which gets the focus.
    await dialog.getByLabel('Name', { exact: true }).fill('On Call');
    await page.keyboard.press('Enter');
    await dialog.getByText('Small letters, digits and hyphens').waitFor();
    await focusOn(page, '#receiver-name');
    await dialog.getByLabel('Name', { exact: true }).fill('on-call');
    await dialog.getByLabel('Address', { exact: true }).fill('ftp://example.org');
    await page.keyboard.press('Enter');
    await dialog.getByText('an http or https address').waitFor();
    await focusOn(page, '#receiver-url');
    await dialog.getByLabel('Address', { exact: true }).fill(hook.url);
    await dialog.getByLabel(/a selector over their labels/).fill('site in (lyon');
    await page.keyboard.press('Enter');
    await dialog.getByText('has a parenthesis that is not closed').waitFor();
    await focusOn(page, '#receiver-selector');
    await dialog.getByLabel(/a selector over their labels/).fill('site in (lyon)');
    await dialog.getByLabel('Authorization header').selectOption('Type it here');
    await dialog.getByLabel('Authorization header: the secret').fill('Bearer hush-hush');
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });

    const row = page.locator('[data-receiver=on-call]');
    await row.getByText('authorization: stored').waitFor();
    expect(await page.content()).not.toContain('hush-hush');
    await row.getByRole('button', { name: 'Send a test to on-call' }).press('Enter');
    await row.getByRole('alert').getByText('500').waitFor();
    status = 200;
    await row.getByRole('button', { name: 'Send a test to on-call' }).press('Enter');
    await row.getByText('The test was sent.').waitFor();
    expect(hook.asked.at(-1)?.headers.authorization).toBe('Bearer hush-hush');

    // A change leaves what it does not name as it was, secrets too.
    await row.getByRole('button', { name: 'Change on-call' }).press('Enter');
    expect(await dialog.getByLabel('Address', { exact: true }).inputValue()).toBe(hook.url);
    expect(await dialog.locator('input[type=password]').count()).toBe(0);
    await dialog.getByLabel('From severity').selectOption('error');
    await dialog.getByRole('button', { name: 'Save' }).press('Enter');
    await row.getByText('from severity error on').waitFor();
    await row.getByText('authorization: stored').waitFor();
    await focusOn(page, '[aria-label="Change on-call"]');

    await row.getByRole('button', { name: 'Delete on-call' }).press('Enter');
    await dialog.getByRole('button', { name: 'Delete' }).press('Enter');
    await row.waitFor({ state: 'detached' });
    expect((await control.get('/receivers')).json.items).toEqual([]);
    expect(unexpected(errors)).toEqual([]);
  }, 120_000);

  test('set and unset parameters in layers, and see what holds on a device', async () => {
    const { control, page, errors } = await open();
    await page.goto(`${control.url}/jobs/ovens/parameters`);
    const dialog = dialogOf(page);
    const limit = page.locator('[data-parameter=limit]');
    await limit.getByRole('button', { name: 'Set limit', exact: true }).press('Enter');

    // Not of its type, which the page knows; not of its range, which the control plane says.
    await dialog.getByLabel(/^limit/).fill('much');
    await page.keyboard.press('Enter');
    await dialog.getByText('is no number').waitFor();
    await dialog.getByLabel(/^limit/).fill('7');
    await page.keyboard.press('Enter');
    await dialog.locator('.help.wrong').filter({ hasNotText: 'no number' }).waitFor();
    await focusOn(page, '[aria-invalid=true]');
    await dialog.getByLabel(/^limit/).fill('0.9');
    await dialog.getByLabel(/^For/).selectOption('One site');
    await page.keyboard.press('Tab');
    await dialog.getByRole('button', { name: 'Set', exact: true }).press('Enter');
    await dialog.getByText('says for which devices').waitFor();
    await focusOn(page, '#parameter-layer');
    await dialog.getByRole('combobox', { name: 'Site' }).fill('lyon');
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await limit.getByText('site lyon').waitFor();

    // A device that is not there is said at the device.
    await limit.getByRole('button', { name: 'Set limit', exact: true }).press('Enter');
    await dialog.getByLabel(/^For/).selectOption('One device');
    await dialog.getByRole('combobox', { name: 'Device' }).fill('press-8');
    await dialog.getByLabel(/^limit/).fill('0.5');
    await page.keyboard.press('Enter');
    await dialog.getByText('there is no agent').waitFor();
    await dialog.getByRole('combobox', { name: 'Device' }).fill('press-7');
    await page.keyboard.press('Enter');
    const holds = page.getByRole('region', { name: 'On a device' });
    await holds.getByText('from device press-7').waitFor();
    await holds.getByText('0.5', { exact: true }).waitFor();

    // The schema of a parameter gives its choices.
    await page.getByRole('button', { name: 'Set mode' }).press('Enter');
    await dialog.getByLabel(/^mode/).selectOption('slow');
    await dialog.getByRole('button', { name: 'Set', exact: true }).press('Enter');
    await page.locator('[data-parameter=mode]').getByText('the whole fleet').waitFor();

    await page.getByRole('button', { name: 'Unset limit for device press-7' }).press('Enter');
    await dialog.getByRole('button', { name: 'Unset' }).press('Enter');
    await holds.getByText('from site lyon').waitFor();
    const { layers } = (await control.get('/jobs/ovens/parameters')).json;
    expect(layers.map(({ scope }: { scope: string }) => scope)).toEqual(['fleet', 'site:lyon']);
    expect(unexpected(errors)).toEqual([]);
  }, 120_000);

  test.each([
    ['viewer', { receivers: false, parameters: false }],
    ['operator', { receivers: false, parameters: true }],
    ['admin', { receivers: true, parameters: true }],
  ] as const)(
    'are offered what a %s may change, and nothing else',
    async (role, offered) => {
      const { control, page } = await open();
      const settings = { url: 'http://127.0.0.1:9/hook' };
      await control.request('PUT', '/api/v1/receivers/on-call', {
        body: { kind: 'webhook', settings },
      });
      await page.route('**/api/v1/me', (route) => route.fulfill({ json: { role } }));
      const count = (name: RegExp): Promise<number> => page.getByRole('button', { name }).count();

      await page.goto(`${control.url}/alerts/receivers`);
      await page.locator('[data-receiver=on-call]').waitFor();
      const add = page.getByRole('button', { name: 'Add a receiver…' });
      if (offered.receivers) await add.waitFor();
      expect(await count(/Add a receiver|Change on-call|Delete on-call/)).toBe(
        offered.receivers ? 3 : 0,
      );

      await page.goto(`${control.url}/jobs/ovens/parameters`);
      await page.locator('[data-parameter=limit]').waitFor();
      if (offered.parameters) await page.getByRole('button', { name: 'Set mode' }).waitFor();
      expect(await count(/^(Set|Unset) /)).toBe(offered.parameters ? 2 : 0);
    },
    60_000,
  );
});
