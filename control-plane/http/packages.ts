/**
 * `/install.sh` and `/packages/…`: what a device needs before it has an identity. For everybody,
 * read only: archives hold no secrets, and what a device gets it checks by the checksums in the
 * line that a person copied. Each address has a rate limit; archives are streamed, never held in
 * memory.
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Context } from 'hono';
import type { PackageFolder } from '../packages/package-folder.ts';
import { limitRate } from './enrol.ts';
import type { HttpEnv } from './http-env.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { RateLimit } from './rate-limit.ts';
import { newRouter, type Router } from './router.ts';

export interface PackageRoutesParts {
  readonly packages: PackageFolder;
  readonly rateLimit: RateLimit;
  readonly metrics: HttpMetrics;
}

/** A name that was built anew has another tag. */
const CACHE = 'no-cache';

export function packageRoutes(parts: PackageRoutesParts): Router {
  const router = newRouter();
  router.get('/install.sh', async (c) => {
    limitRate(c, parts, 'packages');
    const { installer } = await parts.packages.offer();
    if (isKnown(c, installer.sha256)) return c.body(null, 304);
    return c.text(installer.text, 200, { 'content-type': 'text/x-shellscript; charset=utf-8' });
  });

  router.get('/packages/manifest.json', async (c) => {
    limitRate(c, parts, 'packages');
    const { served } = await parts.packages.offer();
    c.header('cache-control', CACHE);
    return c.json(served);
  });

  router.get('/packages/:name', async (c) => {
    limitRate(c, parts, 'packages');
    const { path, file } = await parts.packages.file(c.req.param('name'));
    if (isKnown(c, file.sha256)) return c.body(null, 304);
    c.header('content-type', file.compression === 'xz' ? 'application/x-xz' : 'application/gzip');
    c.header('content-length', String(file.size));
    if (c.req.method === 'HEAD') return c.body(null);
    return c.body(Readable.toWeb(createReadStream(path)) as ReadableStream);
  });
  return router;
}

/** Sets the tag; true when the caller has this very content. */
function isKnown(c: Context<HttpEnv>, sha256: string): boolean {
  const tag = `"${sha256}"`;
  c.header('etag', tag);
  c.header('cache-control', CACHE);
  return c.req.header('if-none-match') === tag;
}
