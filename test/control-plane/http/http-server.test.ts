/** What comes to the port and is no request that we can read. */
import { connect } from 'node:net';
import { Hono } from 'hono';
import { expect, it, onTestFinished } from 'vitest';
import type { App } from '@runnel/control-plane/http/app.ts';
import { listen } from '@runnel/control-plane/http/http-server.ts';

/** All that is answered to these bytes by a client that never ends the connection itself. */
async function answerTo(port: number, text: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

async function serving(): Promise<number> {
  const app = new Hono().get('/slow', (c) => {
    const body = new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from('begun')) });
    return c.body(body);
  });
  const server = await listen(app as unknown as App, '127.0.0.1', 0);
  onTestFinished(() => server.close());
  return server.port;
}

it('an address that is too long is answered by a page that leads on', async () => {
  const answer = await answerTo(await serving(), `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  expect(answer).toContain('<h1>This address is too long</h1>');
});

it('noise is refused, and its connection ends without the other side', async () => {
  expect(await answerTo(await serving(), 'noise\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
});

it('noise behind a request whose answer has begun cuts it, and adds nothing to it', async () => {
  const request = 'GET /slow HTTP/1.1\r\nhost: x\r\n\r\n';
  const socket = connect(await serving(), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(request);
  let answer = '';
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes('begun')) socket.write('noise\r\n\r\n');
  }
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
});
