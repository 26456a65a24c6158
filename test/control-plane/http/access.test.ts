/** Who may ask what: tokens, cookies, other sites, hostile input; every route: routes.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { enrolRequestOf, newDeviceKey } from '../../support/nats.ts';

let control: TestControlPlane;

beforeAll(async () => {
  control = await TestControlPlane.start();
});

afterAll(() => control.close());

describe('an answer', () => {
  it('that is a problem has headers that keep a page safe', async () => {
    const answer = await control.get('/agents/nobody');
    expect(answer).toMatchObject({ status: 404, json: { code: 'not_found', status: 404 } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-request-id')).toBe(answer.json.requestId);
    expect((await control.get('/nothing')).json.code).toBe('not_found');
  });
});

describe('tokens', () => {
  it('of people are made and revoked by admins only', async () => {
    const operator = await control.token('operator');
    const refused = await control.post('/tokens', { role: 'viewer' }, { token: operator });
    expect(refused).toMatchObject({ status: 403, json: { code: 'forbidden' } });
    const made = await control.post('/tokens', { role: 'viewer', name: 'grafana' });
    const path = `/api/v1/tokens/${made.json.id}`;
    expect((await control.request('DELETE', path, { token: operator })).status).toBe(403);
    expect((await control.request('DELETE', path)).status).toBe(204);
    expect((await control.request('DELETE', path)).status).toBe(404);
    const dead = await control.get('/me', { token: made.json.token });
    expect(dead).toMatchObject({ status: 401, json: { code: 'unauthenticated' } });
  });

  it('for devices come with the command to run there', async () => {
    const operator = await control.token('operator');
    const body = { role: 'agent', labels: { site: 'lyon' }, uses: 2, expiresMs: 60_000 };
    const made = await control.post('/tokens', body, { token: operator });
    expect(made.status).toBe(201);
    expect(made.json.enrollCommand).toBe(
      `npx runnel-agent enroll --url ${control.url} --token ${made.json.token}` +
        ' --data ./runnel-agent && npx runnel-agent run --data ./runnel-agent',
    );
    const list = await control.get('/tokens', { token: operator });
    const listed = list.json.items.find((item: { id: string }) => item.id === made.json.id);
    expect(listed).toMatchObject({ role: 'agent', labels: { site: 'lyon' }, uses: 0, usesMax: 2 });
    expect(list.text).not.toContain(made.json.token.split('.')[2]);
  });

  it('that are wrong do not enrol a device, and say why', async () => {
    const key = newDeviceKey();
    const token = await control.joinToken({ uses: 1 });
    const [kind, id, secret, fingerprint] = token.split('.');
    const wrong = [kind, id, secret!.replace(/^...../, 'AAAAA'), fingerprint].join('.');
    const answer = await control.post('/enroll', enrolRequestOf(key, wrong), { token: null });
    expect(answer.status).toBe(403);
    expect(answer.json.hint).toBeTypeOf('string');
    const first = enrolRequestOf(key, token);
    expect((await control.post('/enroll', first, { token: null })).status).toBe(200);
    expect((await control.post('/enroll', first, { token: null })).status).toBe(200);
    const other = await control.post('/enroll', enrolRequestOf(newDeviceKey(), token), {
      token: null,
    });
    expect(other).toMatchObject({ status: 403, json: { code: 'token_used_up' } });
  });
});

describe('a browser', () => {
  const cookieOf = (headers: Headers): string => (headers.get('set-cookie') ?? '').split(';')[0]!;

  async function signIn(): Promise<string> {
    const link = await control.post('/sign-in-links');
    const path = link.json.url.slice(control.url.length);
    const answer = await control.request('GET', path, { token: null });
    expect(answer.status).toBe(303);
    return cookieOf(answer.headers);
  }

  it('signs in once by a link, with a cookie that scripts and other sites do not get', async () => {
    const path = control.signInLink!.slice(control.url.length);
    const answer = await control.request('GET', path, { token: null });
    expect(answer.headers.get('location')).toBe('/');
    expect(answer.headers.get('set-cookie')).toMatch(/HttpOnly/);
    expect(answer.headers.get('set-cookie')).toMatch(/SameSite=Strict/);
    const cookie = cookieOf(answer.headers);
    const me = await control.get('/me', { token: null, headers: { cookie } });
    expect(me.json).toMatchObject({ role: 'admin' });
    const again = await control.request('GET', path, { token: null });
    expect(again.status).toBe(403);
    expect(again.text).toContain('npx runnel-control sign-in-link');
    expect(again.headers.get('set-cookie')).toBeNull();
  });

  it('changes nothing on behalf of another site', async () => {
    const cookie = await signIn();
    const post = (headers: Record<string, string>) =>
      control.post('/tokens', { role: 'agent' }, { token: null, headers: { cookie, ...headers } });
    const refusals: Record<string, string>[] = [
      {},
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site', origin: control.url },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
    ];
    for (const headers of refusals) {
      const answer = await post(headers);
      expect(answer.json.code, JSON.stringify(headers)).toBe('cross_site');
    }
    expect((await post({ origin: control.url })).status).toBe(201);
    expect((await post({ 'sec-fetch-site': 'same-origin' })).status).toBe(201);
  });

  it('is signed out for good', async () => {
    const cookie = await signIn();
    const headers = { cookie, 'sec-fetch-site': 'same-origin' };
    const out = await control.post('/sign-out', undefined, { token: null, headers });
    expect(out.status).toBe(204);
    expect((await control.get('/me', { token: null, headers })).status).toBe(401);
  });

  it('loses its session with the token that made it', async () => {
    const made = await control.post('/tokens', { role: 'operator' });
    const link = await control.post('/sign-in-links', undefined, { token: made.json.token });
    const path = link.json.url.slice(control.url.length);
    const answer = await control.request('GET', path, { token: null });
    const headers = { cookie: cookieOf(answer.headers) };
    expect((await control.get('/me', { token: null, headers })).json.role).toBe('operator');
    await control.request('DELETE', `/api/v1/tokens/${made.json.id}`);
    expect((await control.get('/me', { token: null, headers })).status).toBe(401);
  });
});

describe('hostile input', () => {
  it('of a megabyte and more is refused', async () => {
    const huge = 'x'.repeat(1_100_000);
    const answer = await control.post('/jobs', huge);
    expect(answer).toMatchObject({ status: 413, json: { code: 'body_too_large' } });
    const large = await control.post('/jobs', 'x'.repeat(300_000));
    expect(large).toMatchObject({ status: 413, json: { code: 'definition_too_large' } });
  });

  it('that is not JSON, or not what is asked for, is a clear 400', async () => {
    const headers = { 'content-type': 'application/json' };
    const broken = await control.post('/tokens', '{"role":', { headers });
    expect(broken.status).toBe(400);
    expect(broken.headers.get('content-type')).toBe('application/problem+json');
    const unknown = await control.post('/tokens', { role: 'agent', rights: 'all' });
    expect(unknown.json).toMatchObject({ status: 400, code: 'request_invalid' });
    expect(unknown.json.detail).toContain('rights');
    const role = await control.post('/tokens', { role: 'root' });
    expect(role.status).toBe(400);
    const enrol = await control.post('/enroll', { v: 9 }, { token: null });
    expect(enrol.json).toMatchObject({ status: 400, code: 'protocol_version' });
    expect((await control.post('/jobs', '')).status).toBe(400);
  });

  it('with markup in names comes back as data, never as a page', async () => {
    const name = '<img src=x onerror=alert(1)>';
    const token = await control.joinToken();
    const request = enrolRequestOf(newDeviceKey(), token, { name });
    const enrolled = await control.post('/enroll', request, { token: null });
    if (enrolled.status === 200) {
      const agent = await control.get(`/agents/${enrolled.json.agent}`);
      expect(agent.json.name).toBe(name);
      expect(agent.headers.get('content-type')).toContain('application/json');
    } else expect(enrolled.status).toBe(400);
    const missing = await control.get(`/agents/${encodeURIComponent(name)}x`);
    expect(missing.headers.get('content-type')).toBe('application/problem+json');
  });

  it('cannot reach files beside the page', async () => {
    for (const path of [
      '/..%2f..%2fpackage.json',
      '/assets/../../package.json',
      '/.env',
      '/x.js',
    ]) {
      const { status, text } = await control.request('GET', path, { token: null });
      expect(status, path).toBe(404);
      expect(text).not.toContain('dependencies');
    }
  });
});
