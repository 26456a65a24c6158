/**
 * One POST to a receiver's server. Bounded in time and in what is read of the answer. A redirect is
 * an error: what is sent may hold secrets, and goes to the host that a person named.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';

export interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** PEM of a private CA. */
  readonly ca: string | undefined;
}

/** Errors: `receiver_failed`, whose `retry` says whether trying again can help. */
export async function post(what: Post, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(limits.notificationTimeoutMs);
  const host = hostOf(what.url);
  const { status, text } = await answerTo(what, AbortSignal.any([signal, timeout])).catch(
    (cause: unknown) => {
      const seconds = limits.notificationTimeoutMs / 1000;
      const why = timeout.aborted ? `no answer within ${seconds} s` : messageOf(cause);
      throw failed(`${host}: ${why}`, 'backoff', cause);
    },
  );
  if (status >= 200 && status < 300) return;
  const busy = status === 408 || status === 429 || status >= 500;
  const said = text.trim() === '' ? '' : `: ${text.trim().slice(0, 200)}`;
  const why = status >= 300 && status < 400 ? ' (redirects are not followed)' : '';
  throw failed(`${host} answered ${status}${why}${said}`, busy ? 'backoff' : 'never');
}

export function failed(message: string, retry: 'never' | 'backoff', cause?: unknown): RunnelError {
  return new RunnelError('receiver_failed', message, { retry, cause });
}

/** Without path and credentials, which may be secrets. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the address';
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function answerTo({ url, headers, body, ca }: Post, signal: AbortSignal): Promise<Answer> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        signal,
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        // A connection that is kept would outlive a receiver that was deleted.
        agent: false,
        ...(ca === undefined ? {} : { ca }),
      },
      (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          // The status is known: the rest of a long answer changes nothing.
          if (bytes > limits.notificationAnswerBytesMax) answer.destroy();
          else chunks.push(chunk);
        });
        answer.on('error', reject);
        answer.on('close', () => {
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
