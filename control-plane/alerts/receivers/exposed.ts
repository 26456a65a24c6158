/**
 * What the settings of a receiver would show to everybody who may look: credentials belong into its
 * secrets. They are refused where a receiver is set; one that was kept before goes on working, and
 * whoever is not an admin sees it masked. Pure.
 */
import { z } from 'zod';

const CREDENTIALS = /^(authorization|proxy-authorization|cookie|x-api-key)$/i;
const MASK = '***';

const shape = z.object({
  url: z.string().optional(),
  headers: z.record(z.string(), z.unknown()).optional(),
});

interface Issue {
  readonly path: string;
  readonly message: string;
}

/** `secrets`: those that a receiver of this kind knows. */
export function exposedIn(settings: unknown, secrets: readonly string[]): Issue[] {
  const { url, headers = {} } = shape.parse(settings);
  const known = secrets.map((name) => `secrets.${name}`).join(', ');
  const issues = Object.keys(headers)
    .filter((name) => CREDENTIALS.test(name))
    .map((name) => ({
      path: `settings.headers.${name}`,
      message: `everybody who may look sees ${name} here: give credentials as a secret (${known})`,
    }));
  if (url === undefined || withoutUser(url) === url) return issues;
  const message = `everybody who may look sees its password here: give it as a secret (${known})`;
  return [...issues, { path: 'settings.url', message }];
}

/** As those see them who may not set them. */
export function maskedSettings(
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { url, headers } = shape.parse(settings);
  const names = Object.keys(headers ?? {});
  return {
    ...settings,
    ...(url === undefined ? {} : { url: withoutUser(url) }),
    ...(headers === undefined
      ? {}
      : { headers: Object.fromEntries(names.map((name) => [name, MASK])) }),
  };
}

function withoutUser(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.username === '' && url.password === '') return text;
  url.username = '';
  url.password = '';
  return url.href;
}
