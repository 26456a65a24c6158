/**
 * Serves the built page from memory: only files that were listed from its folder can be asked
 * for, so that no path leads out of it. Every other path gets the page itself, which reads the
 * address and says what is not there: names of devices hold dots, so a dot alone makes no file.
 * What can be nothing but a file (an asset of another build, `/favicon.ico`) is answered with 404,
 * unless a browser asks for something to show. Assets with a hash in their name are kept by caches
 * for ever.
 *
 * The folder is listed again when a file is missing, so that a rebuild needs no restart.
 */
import { readFile, readdir } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { MiddlewareHandler } from 'hono';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { HttpEnv } from './http-env.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
};

const INDEX = '/index.html';

interface Page {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly cache: string;
}

export function staticPages(folder: string): MiddlewareHandler<HttpEnv> {
  let pages: ReadonlyMap<string, Page> | undefined;
  return async (c, next) => {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') {
      await next();
      return;
    }
    const path = c.req.path === '/' ? INDEX : c.req.path;
    const isView = !isFile(path) || c.req.header('accept')?.includes('text/html') === true;
    const isListed = pages?.has(path) === true || (isView && pages?.has(INDEX) === true);
    if (pages === undefined || !isListed) pages = await listPages(folder);
    const page = pages.get(path) ?? (isView ? pages.get(INDEX) : undefined);
    if (page === undefined) {
      if (isView) throw notBuilt(folder);
      await next();
      return;
    }
    c.header('content-type', page.type);
    c.header('cache-control', page.cache);
    return c.body(page.bytes);
  };
}

/** An asset, or a name with a dot at the top, where no view has one. */
function isFile(path: string): boolean {
  return path.startsWith('/assets/') || /^\/[^/]*\.[^/]*$/.test(path);
}

async function listPages(folder: string): Promise<Map<string, Page>> {
  const pages = new Map<string, Page>();
  for (const entry of await entriesOf(folder)) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join('/')}`;
    const hashed = path.startsWith('/assets/');
    pages.set(path, {
      bytes: new Uint8Array(await readFile(file)),
      type: TYPES[extname(file)] ?? 'application/octet-stream',
      cache: hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
  }
  return pages;
}

/** Nothing when there is no such folder: the page is not built. */
async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function notBuilt(folder: string): RunnelError {
  return new RunnelError('page_not_found', `the page is not built: nothing in ${folder}`, {
    hint: 'run: npm run setup',
  });
}
