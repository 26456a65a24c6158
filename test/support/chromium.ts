/** The system's Chromium, headless, with a profile of its own; closed when the test finishes. */
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { requireProgram } from './programs.ts';
import { tempDir } from './temp-dir.ts';

/** Nothing of the browser itself may reach out: every request that is seen is the page's. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Browsed {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Uncaught errors and what the console called an error (a broken policy is one). */
  readonly errors: string[];
  /** Every URL that any page asked for. */
  readonly requests: string[];
}

export async function openBrowser(): Promise<Browsed> {
  const context = await chromium.launchPersistentContext(tempDir('chromium'), {
    executablePath: requireProgram('chromium'),
    args: QUIET,
    viewport: { width: 1440, height: 900 },
  });
  onTestFinished(() => context.close());
  const page = context.pages()[0] ?? (await context.newPage());
  const errors: string[] = [];
  const requests: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  context.on('request', (request) => requests.push(request.url()));
  return { context, page, errors, requests };
}
