/**
 * The server of a test: answers as the test says and keeps what it was asked. An answer counts for
 * each request with its method and path (with the query, where the answer has one); what no answer
 * is for gets 404.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpAnswer } from './batch-test-file.ts';

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** JSON where it is, else the text. */
  readonly body: unknown;
}

export interface AnsweringServer {
  readonly url: string;
  /** What was asked since the last time. */
  take(): readonly ReceivedRequest[];
  /** From now on. */
  answer(answers: readonly HttpAnswer[]): void;
  close(): Promise<void>;
}

export async function answeringServer(first: readonly HttpAnswer[]): Promise<AnsweringServer> {
  let answers = first;
  const received: ReceivedRequest[] = [];
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const { method = 'GET', url: path = '/', headers } = request;
      received.push({ method, path, headers, body: await bodyOf(request) });
      const found = answers.find(
        (each) => each.method === method && [path, path.split('?')[0]].includes(each.path),
      );
      const { status, body, headers: extra } = found ?? { status: 404, body: '', headers: {} };
      const isText = typeof body === 'string' || body === undefined;
      const type = isText ? 'text/plain' : 'application/json';
      response.writeHead(status, { 'content-type': type, ...extra });
      response.end(isText ? (body ?? '') : JSON.stringify(body));
    };
    answer().catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    take: () => received.splice(0),
    answer(next) {
      answers = next;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk as string;
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    // Text is what the request had, then.
    return text;
  }
}
