/** The http task against a real server: answers, errors by class, redirects, credentials, keys. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { nextLink, retryAfter } from '@runnel/agent/batch/io/http-answer.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import { httpServer } from '../../../support/http-server.ts';
import { makeTlsFiles } from '../../../support/mosquitto.ts';
import { type ContextOptions, taskSite, type TaskSite } from '../../../support/task-context.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { taskContract } from '../../../contracts/task-contract.ts';

function attempt(site: TaskSite, http: unknown, options: ContextOptions = {}) {
  return site.attempt(site.program({ tasks: [{ id: 't', http }] }), 't', options);
}

function failure(site: TaskSite, http: unknown, options: ContextOptions = {}) {
  return site.failure(site.program({ tasks: [{ id: 't', http }] }), 't', options);
}

taskContract({
  kind: 'http',
  async setup(site) {
    const seen = new Set<unknown>();
    const server = await httpServer(({ headers }) => {
      seen.add(headers['idempotency-key']);
      return { body: { ok: true } };
    });
    const http = { method: 'POST', url: server.url, body: { a: 1 } };
    const program = site.program({ tasks: [{ id: 't', http }] });
    return { program, task: 't', effects: () => [...seen] };
  },
  async endless(site) {
    const server = await httpServer(() => ({ hang: true }));
    const program = site.program({ tasks: [{ id: 't', http: { url: server.url } }] });
    return { program, task: 't', started: () => server.asked.length > 0 };
  },
});

describe('an http task', () => {
  it('gives status and body, and sends headers, query and JSON as written', async () => {
    const server = await httpServer(() => ({ status: 201, body: { id: 7 } }));
    const { success } = await attempt(taskSite(), {
      method: 'PUT',
      url: `${server.url}/a?x=1`,
      headers: { 'X-Site': 'lyon' },
      query: { line: [1, 2], x: 'é&' },
      body: { day: '{{ partition.date }}', n: '{{ 1 + 1 }}' },
    });
    expect(success.output).toEqual({ status: 201, bytes: 8, body: { id: 7 } });
    const [asked] = server.asked;
    expect(asked?.url.search).toBe('?line=1&line=2&x=%C3%A9%26');
    expect(asked?.headers).toMatchObject({ 'x-site': 'lyon', 'content-type': 'application/json' });
    expect(JSON.parse(asked?.body ?? '')).toEqual({ day: '2026-11-22', n: 2 });
  });

  it('makes a list of maps its table too, and an empty answer null', async () => {
    const bodies: unknown[] = [[{ a: 1 }, { a: 2 }], ''];
    const server = await httpServer((_asked, count) => ({ body: bodies[count - 1] }));
    const site = taskSite();
    const { success } = await attempt(site, { url: server.url });
    expect(success.output).toMatchObject({ rowCount: 2, body: [{ a: 1 }, { a: 2 }] });
    expect(await site.rows(success.table)).toEqual([{ a: 1 }, { a: 2 }]);
    expect((await attempt(site, { url: server.url })).success.output).toMatchObject({ body: null });
  });

  it('sends one idempotency key for all attempts, and none when nothing is changed', async () => {
    const server = await httpServer((_asked, count) => (count === 1 ? { cut: true } : {}));
    const site = taskSite();
    const post = { method: 'POST', url: server.url, body: 'x' };
    expect((await failure(site, post)).class).toBe('network');
    await attempt(site, post, { attempt: 2, tries: 2 });
    await attempt(site, { url: server.url });
    const keys = server.asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(keys).toEqual([keys[0], keys[0], undefined]);
  });

  it.each([
    [400, 'rejected'],
    [404, 'rejected'],
    [408, 'unavailable'],
    [425, 'unavailable'],
    [429, 'unavailable'],
    [500, 'unavailable'],
    [503, 'unavailable'],
    [304, 'rejected'],
  ])('fails on %i with the class %s', async (status, errorClass) => {
    const server = await httpServer(() => ({ status, headers: { 'retry-after': '7' } }));
    const error = await failure(taskSite(), { url: server.url });
    expect(error).toMatchObject({ class: errorClass, code: 'http_status', fields: { status } });
    expect(error.retryAfterMs).toBe(errorClass === 'unavailable' ? 7000 : undefined);
  });

  it('takes statuses that it expects, and only those', async () => {
    const server = await httpServer((_asked, count) => ({ status: count === 1 ? 404 : 200 }));
    const http = { url: server.url, expect: [404], response: 'none' };
    expect((await attempt(taskSite(), http)).success.output).toMatchObject({ status: 404 });
    expect((await failure(taskSite(), http)).message).toContain('answered 200');
  });

  it('tells a refused connection, a cut answer and an unknown host as network', async () => {
    const cut = await httpServer(() => ({
      headers: { 'content-length': '100' },
      body: 'only this',
    }));
    const site = taskSite();
    const urls = ['http://127.0.0.1:1/', 'http://nowhere.invalid/'];
    for (const url of urls) expect((await failure(site, { url })).class, url).toBe('network');
    const signal = AbortSignal.timeout(20_000);
    const waiting = failure(site, { url: cut.url, response: 'text' }, { signal });
    await waitFor('the request', () => cut.asked.length > 0);
    cut.cutAll();
    expect((await waiting).class).toBe('network');
  });

  it('bounds the answer, also what a small one unpacks to', async () => {
    const packed = gzipSync(Buffer.alloc(5_000_000, 'a'));
    const server = await httpServer(() => ({
      headers: { 'content-encoding': 'gzip' },
      body: packed,
    }));
    const http = { url: server.url, response: 'text', bodyMax: '100KiB' };
    expect(await failure(taskSite(), http)).toMatchObject({
      class: 'resources',
      code: 'response_too_large',
    });
  });

  it('unpacks gzip', async () => {
    const server = await httpServer(() => ({
      headers: { 'content-encoding': 'gzip' },
      body: gzipSync('{"a":1}'),
    }));
    const { success } = await attempt(taskSite(), { url: server.url });
    expect(success.output).toMatchObject({ body: { a: 1 } });
  });

  it('fails on an answer that is no JSON, naming the place', async () => {
    const server = await httpServer(() => ({ body: '<html>' }));
    expect(await failure(taskSite(), { url: server.url })).toMatchObject({ class: 'data' });
  });
});

describe('policy and credentials of an http task', () => {
  it('refuses hosts that policy.yaml does not allow, before anything is sent', async () => {
    const server = await httpServer(() => ({}));
    const site = taskSite();
    site.policy = { hosts: ['mes.site'] };
    expect(await failure(site, { url: server.url })).toMatchObject({ class: 'policy' });
    expect(server.asked).toEqual([]);
  });

  it('follows a redirect only to hosts that policy allows', async () => {
    const other = await httpServer(() => ({ body: { here: true } }));
    const { port } = new URL(other.url);
    const server = await httpServer(({ url }) => ({
      status: 307,
      headers: { location: `http://${url.searchParams.get('to')}:${port}/` },
    }));
    const site = taskSite();
    site.policy = { hosts: ['127.0.0.1'] };
    const to = (host: string) => ({ url: server.url, query: { to: host } });
    expect((await attempt(site, to('127.0.0.1'))).success.output).toMatchObject({ status: 200 });
    expect(await failure(site, to('localhost'))).toMatchObject({ class: 'policy' });
    expect(other.asked).toHaveLength(1);
  });

  it('sends credentials by reference, and to no other origin than its own', async () => {
    const other = await httpServer(() => ({}));
    const server = await httpServer(() => ({ status: 302, headers: { location: other.url } }));
    const site = taskSite();
    site.env = { RUNNEL_SECRET_T: 'geheim', OTHER: 'x' };
    const auth = { bearer: { env: 'RUNNEL_SECRET_T' } };
    await attempt(site, { url: server.url, auth });
    expect(server.asked[0]?.headers.authorization).toBe('Bearer geheim');
    expect(other.asked[0]?.headers.authorization).toBeUndefined();
    const basic = { basic: { username: 'u', password: { env: 'RUNNEL_SECRET_T' } } };
    await attempt(site, { url: server.url, auth: basic });
    expect(server.asked[1]?.headers.authorization).toBe(`Basic ${btoa('u:geheim')}`);
    const refused = await failure(site, { url: server.url, auth: { bearer: { env: 'OTHER' } } });
    expect(refused.class).toBe('policy');
  });

  it('stops after as many redirects as it is told', async () => {
    const server = await httpServer(() => ({ status: 302, headers: { location: '/again' } }));
    const error = await failure(taskSite(), { url: server.url, redirects: 3 });
    expect(error.code).toBe('http_redirects');
    expect(server.asked).toHaveLength(4);
  });

  it('trusts the certificates that it is told to, and no others', async () => {
    const tls = makeTlsFiles();
    const server = await httpServer(() => ({ body: { ok: 1 } }), tls);
    const site = taskSite();
    site.policy = { paths: [tls.ca] };
    expect((await failure(site, { url: server.url })).class).toBe('network');
    const { success } = await attempt(site, { url: server.url, ca: tls.ca });
    expect(success.output).toMatchObject({ body: { ok: 1 } });
  });
});

describe('headers of an answer', () => {
  it('Retry-After is seconds or a date, never negative', () => {
    expect(retryAfter('120', 0)).toBe(120_000);
    expect(retryAfter('Thu, 01 Jan 1970 00:00:30 GMT', 10_000)).toBe(20_000);
    expect(retryAfter('Thu, 01 Jan 1970 00:00:30 GMT', 90_000)).toBe(0);
    expect(retryAfter('soon', 0)).toBeUndefined();
  });

  it('Link gives the next page among others', () => {
    const link = '<https://a/x?page=1>; rel="prev", <https://a/x?page=3,4>; title="n"; rel="next"';
    expect(nextLink(link)).toBe('https://a/x?page=3,4');
    expect(nextLink('<https://a>; rel="nextish"')).toBeUndefined();
    expect(nextLink(undefined)).toBeUndefined();
  });
});

it.each([
  ['before the answer', { hang: true as const }],
  ['in the middle of the answer', { headers: { 'content-length': '100' }, body: '{' }],
  [
    'in the middle of a packed answer',
    { headers: { 'content-length': '100', 'content-encoding': 'gzip' }, body: '{' },
  ],
])('an attempt that is told to end %s gives the reason', async (_when, answer) => {
  const server = await httpServer(() => answer);
  const control = new AbortController();
  const ended = failure(taskSite(), { url: server.url }, { signal: control.signal });
  await waitFor('the request', () => server.asked.length > 0);
  control.abort(new TaskError('timeout', 'task_timeout', 'too long'));
  expect((await ended).code).toBe('task_timeout');
});
