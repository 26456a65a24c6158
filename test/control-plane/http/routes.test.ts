/**
 * Every route × everybody who could ask: nobody, each role, and proofs that are worth nothing. The
 * routes are those that the running application lists itself, so that none can be forgotten here.
 */
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiAnswer, TestControlPlane } from '../../support/control-plane.ts';
import { waitFor } from '../../support/wait-for.ts';
import { MIDDLEWARE, type Needs, RANK, ROUTES } from './route-table.ts';

let control: TestControlPlane;

beforeAll(async () => {
  control = await TestControlPlane.start();
});

afterAll(() => control.close());

const HOW = 'declare it in test/control-plane/http/route-table.ts with the least role it needs';
const CHANGES = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
/** Codes of a guard, so that the refusal of a handler is not taken for one. */
const REFUSALS = ['unauthenticated', 'forbidden', 'cross_site'];

interface Route {
  readonly method: string;
  readonly path: string;
  readonly needs: Needs;
}

/** With a value that names nothing in place of each parameter. */
const routes: readonly Route[] = Object.entries(ROUTES).map(([route, needs]) => {
  const [method = '', path = ''] = route.split(' ');
  return { method, path: path.replaceAll(/:[^/]+/g, 'x'), needs };
});

async function refusal(
  { method, path }: Pick<Route, 'method' | 'path'>,
  asker: { readonly token?: string | null; readonly headers?: Record<string, string> },
): Promise<string | null> {
  // Without a body: a guard that came after the check of the body would answer 400 instead.
  const answer = await control.request(method, path, { token: null, ...asker });
  expectSafe(answer, `${method} ${path}`);
  const code = (answer.json as { code?: string } | undefined)?.code ?? '';
  if (!REFUSALS.includes(code)) return null;
  expect(answer.status).toBe(code === 'unauthenticated' ? 401 : 403);
  return code;
}

/** On every answer, whoever asked: no other site may read it, nothing foreign runs in it. */
function expectSafe({ status, headers }: ApiAnswer, what: string): void {
  expect(status, what).toBeLessThan(500);
  expect(headers.get('access-control-allow-origin'), what).toBeNull();
  expect(headers.get('x-content-type-options'), what).toBe('nosniff');
  expect(headers.get('x-frame-options'), what).toBe('DENY');
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy, what).toContain("default-src 'self'");
  expect(policy, what).not.toMatch(/unsafe|https?:|\*/);
}

/** `expected` for every route, as one comparison that names all that differ. */
async function expectEvery(
  asker: { readonly token?: string | null; readonly headers?: Record<string, string> },
  expected: (route: Route) => string | null,
): Promise<void> {
  const named = (codes: readonly (string | null)[]) =>
    codes.map((code, at) => `${routes[at]!.method} ${routes[at]!.path}: ${code ?? 'lets pass'}`);
  const seen = await Promise.all(routes.map((route) => refusal(route, asker)));
  expect(named(seen)).toEqual(named(routes.map(expected)));
}

async function session(): Promise<string> {
  const link = await control.post('/sign-in-links');
  const path = link.json.url.slice(control.url.length);
  const { headers } = await control.request('GET', path, { token: null });
  return (headers.get('set-cookie') ?? '').split(';')[0]!;
}

describe('the table of routes', () => {
  it('names every route of the application, and no other', () => {
    const middleware = new Set<string>();
    const found = new Set<string>();
    for (const { method, path } of control.routes) {
      if (method === 'ALL') middleware.add(path);
      else found.add(`${method} ${path}`);
    }
    const unknown = [...found].filter((route) => ROUTES[route] === undefined);
    expect(unknown, HOW).toEqual([]);
    expect([...middleware].toSorted(), HOW).toEqual([...MIDDLEWARE].toSorted());
    expect(Object.keys(ROUTES).toSorted()).toEqual([...found].toSorted());
  });

  it('is the OpenAPI document, which says of each whether it needs a token', async () => {
    const { json } = await control.get('/openapi.json', { token: null });
    const documented: Record<string, boolean> = {};
    for (const [path, methods] of Object.entries(json.paths as Record<string, object>)) {
      for (const [method, operation] of Object.entries(methods)) {
        const open = (operation as { security?: unknown[] }).security?.length === 0;
        const name = `${method.toUpperCase()} ${path.replaceAll(/\{([^}]+)\}/g, ':$1')}`;
        documented[name] = !open;
      }
    }
    const tested = Object.entries(ROUTES)
      .filter(([route]) => / \/api\/v1\/(?!openapi\.json$)/.test(route))
      .map(([route, needs]) => [route, needs !== 'nobody']);
    expect(documented).toEqual(Object.fromEntries(tested));
  });
});

describe('every route', () => {
  it.each(RANK)('lets %s pass as far as the role goes', async (role) => {
    const token = role === 'nobody' ? null : await control.token(role);
    await expectEvery({ token }, ({ needs }) => {
      if (RANK.indexOf(role) >= RANK.indexOf(needs)) return null;
      return role === 'nobody' ? 'unauthenticated' : 'forbidden';
    });
  });

  it('asks who reads only the headers too', async () => {
    for (const { method, path, needs } of routes) {
      if (method !== 'GET' || needs === 'nobody') continue;
      const { status } = await control.request('HEAD', path, { token: null });
      expect(status, `HEAD ${path}`).toBe(401);
    }
  });

  it('refuses an expired token, one that was revoked, and what is none', async () => {
    const short = await control.post('/tokens', { role: 'admin', expiresMs: 1000 });
    const made = await control.post('/tokens', { role: 'admin' });
    await control.request('DELETE', `/api/v1/tokens/${made.json.id}`);
    await waitFor('the end of a token', async () => {
      return (await control.get('/me', { token: short.json.token })).status === 401;
    });
    const [kind, id, secret] = control.adminToken.split('.');
    const join = await control.joinToken();
    const bent = `${kind}.${id}.${secret!.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`;
    for (const token of [short.json.token, made.json.token, bent, join, 'x'.repeat(600)]) {
      await expectEvery({ token }, () => 'unauthenticated');
    }
    for (const authorization of [`Basic ${control.adminToken}`, control.adminToken, 'Bearer ']) {
      await expectEvery({ headers: { authorization } }, () => 'unauthenticated');
    }
  });

  it('changes nothing by the cookie of an admin for a page of another origin', async () => {
    const cookie = await session();
    for (const foreign of [{ origin: 'https://evil.example' }, { origin: 'null' }, {}]) {
      await expectEvery({ headers: { cookie, ...foreign } }, ({ method }) =>
        CHANGES.has(method) ? 'cross_site' : null,
      );
    }
    // Last: signing out ends the session.
    const ours = { headers: { cookie, origin: control.url } };
    const beforeTheEnd = routes.filter(({ path }) => !path.endsWith('/sign-out'));
    for (const route of beforeTheEnd) expect(await refusal(route, ours), route.path).toBeNull();
    expect(await refusal({ method: 'POST', path: '/api/v1/sign-out' }, ours)).toBeNull();
    await expectEvery(ours, ({ needs }) => (needs === 'nobody' ? null : 'unauthenticated'));
  });

  it('takes no cookie that was made up, and none of another control plane', async () => {
    const [name] = (await session()).split('=');
    const secret = `abcdefghijkl.${'x'.repeat(43)}`;
    for (const cookie of [`${name}=${secret}`, `runnel_session_AAAAAAAA=${secret}`, `${name}=`]) {
      await expectEvery({ headers: { cookie, origin: control.url } }, ({ needs }) =>
        needs === 'nobody' ? null : 'unauthenticated',
      );
    }
  });
});

describe('the live view', () => {
  /** The HTTP status that a websocket is answered with. */
  function upgrade(headers: Record<string, string>): Promise<number> {
    const socket = new WebSocket(`${control.url.replace('http', 'ws')}/api/v1/live`, { headers });
    return new Promise((resolve, reject) => {
      socket.on('open', () => {
        socket.on('close', () => resolve(101));
        socket.close();
      });
      socket.on('unexpected-response', (request, response) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
      socket.on('error', reject);
    });
  }

  it('opens to a viewer and to the page, and to no page of another origin', async () => {
    const authorization = `Bearer ${await control.token('viewer')}`;
    const cookie = await session();
    expect(await upgrade({ authorization })).toBe(101);
    expect(await upgrade({ cookie, origin: control.url })).toBe(101);
    expect(await upgrade({})).toBe(401);
    expect(await upgrade({ authorization: 'Bearer rt1.x.y' })).toBe(401);
    expect(await upgrade({ cookie })).toBe(403);
    expect(await upgrade({ cookie, origin: 'https://evil.example' })).toBe(403);
    expect(await upgrade({ cookie, origin: control.url, 'sec-fetch-site': 'cross-site' })).toBe(
      403,
    );
  });
});
