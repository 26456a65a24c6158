/**
 * The enrolment part of the control plane's HTTP over the real identity, without the rest of it;
 * ends with the test.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { problemOf } from '@runnel/control-plane/http/problem.ts';
import type { Identity } from '@runnel/control-plane/identity/identity.ts';
import { type EnrolReply, enrolRequest, renewRequest } from '@runnel/shared/protocol/enrolment.ts';
import { parseMessage } from '@runnel/shared/protocol/version.ts';

export interface EnrolmentServer {
  readonly url: string;
  /** What was asked, newest last. */
  readonly asked: string[];
  /** Lets a test bend the answer to an enrolment, or lose it by throwing. */
  bend: (reply: EnrolReply) => EnrolReply;
}

export async function startEnrolmentServer(identity: Identity): Promise<EnrolmentServer> {
  const answer = async (path: string, body: unknown): Promise<unknown> => {
    switch (path) {
      case '/api/v1/enroll':
        return server.bend(await identity.enrol(parseMessage(enrolRequest, body)));
      case '/api/v1/renew/nonce':
        return { v: 1, nonce: identity.renewNonce() };
      case '/api/v1/renew':
        return identity.renew(parseMessage(renewRequest, body));
      default:
        throw new Error(`no ${path} here`);
    }
  };
  const http = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      server.asked.push(request.url ?? '');
      answer(request.url ?? '', JSON.parse(Buffer.concat(chunks).toString('utf8'))).then(
        (reply) => response.writeHead(200).end(JSON.stringify(reply)),
        (error: unknown) => {
          const problem = problemOf(error);
          response.writeHead(problem.status).end(JSON.stringify(problem));
        },
      );
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  const { port } = http.address() as AddressInfo;
  const server: EnrolmentServer = {
    url: `http://127.0.0.1:${port}`,
    asked: [],
    bend: (reply) => reply,
  };
  return server;
}
