/**
 * JSON to an address. With the secret `secret` the body is signed: `x-runnel-signature:
 * sha256=<hex>` is its HMAC. `x-runnel-notification` is the id, the same in every attempt.
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Message } from './message.ts';
import { post } from './post.ts';
import { caSetting, defineReceiver, TIMES, timeSettings, urlSetting } from './receiver-kind.ts';

const HEADER = /^[A-Za-z0-9-]{1,64}$/;
/** Ours, or of the connection. */
const TAKEN = /^(host|content-length|content-type|connection|transfer-encoding|x-runnel-.*)$/i;

const header = z
  .string()
  .regex(HEADER, 'a name of a header')
  .refine((name) => !TAKEN.test(name), { error: 'this header is set by Runnel' });

export const webhook = defineReceiver({
  settings: z.strictObject({
    ...timeSettings,
    url: urlSetting.optional(),
    headers: z
      .record(
        header,
        z
          .string()
          .max(1024)
          .regex(/^[\t -~]*$/),
      )
      .optional(),
    ca: caSetting,
  }),
  secrets: ['url', 'authorization', 'secret'],
  times: TIMES,
  tellsAll: true,
  async send({ message, settings, secrets, signal }) {
    const body = JSON.stringify(webhookBody(message));
    const { authorization, secret } = secrets;
    const headers = {
      ...settings.headers,
      ...(authorization === undefined ? {} : { authorization }),
      'content-type': 'application/json',
      'x-runnel-notification': message.id,
      ...(secret === undefined ? {} : { 'x-runnel-signature': signatureOf(body, secret) }),
    };
    const url = secrets.url ?? settings.url ?? '';
    await post({ url, headers, body, ca: settings.ca }, signal);
  },
});

function webhookBody({ id, receiver, at, firing, resolved, more, page }: Message) {
  const status = firing.length > 0 ? 'firing' : 'resolved';
  return { version: 1, id, receiver, at, status, alerts: [...firing, ...resolved], more, page };
}

function signatureOf(body: string, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}
