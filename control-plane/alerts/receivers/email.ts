/**
 * Mail by SMTP. A message has the notification's id as its own, so that a mail server that gets it
 * twice can tell. Certificates are verified; `security: starttls` refuses a server without TLS.
 */
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { createTransport } from 'nodemailer';
import { z } from 'zod';
import { linesOf, subjectOf } from './message.ts';
import { failed } from './post.ts';
import { caSetting, defineReceiver, TIMES, timeSettings } from './receiver-kind.ts';

const address = z.email().max(320);

export const email = defineReceiver({
  settings: z.strictObject({
    ...timeSettings,
    host: z.string().min(1).max(253),
    port: z.number().int().min(1).max(65_535).default(587),
    /** `tls` from the first byte, `starttls`, or `none`: for a mail server of this machine. */
    security: z.enum(['starttls', 'tls', 'none']).default('starttls'),
    username: z.string().max(320).optional(),
    from: address,
    to: z.array(address).min(1).max(50),
    ca: caSetting,
  }),
  secrets: ['password'],
  times: TIMES,
  tellsAll: true,
  async send({ message, settings, secrets, signal }) {
    const { host, port, security, username, from, to, ca } = settings;
    const transport = createTransport({
      host,
      port,
      secure: security === 'tls',
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'none',
      connectionTimeout: limits.notificationTimeoutMs,
      greetingTimeout: limits.notificationTimeoutMs,
      socketTimeout: limits.notificationTimeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
      ...(username === undefined ? {} : { auth: { user: username, pass: secrets.password ?? '' } }),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    const stop = (): void => transport.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await transport.sendMail({
        from,
        to,
        subject: subjectOf(message).slice(0, 200),
        text: `${linesOf(message).join('\n\n')}\n`,
        messageId: `<${message.id}@runnel>`,
        headers: { 'X-Runnel-Notification': message.id, 'Auto-Submitted': 'auto-generated' },
      });
    } catch (error) {
      const { responseCode = 0, code } = error as { responseCode?: number; code?: string };
      // 5yz is final; so are credentials that are turned down.
      const final = responseCode >= 500 || code === 'EAUTH';
      throw failed(`${host}:${port}: ${messageOf(error)}`, final ? 'never' : 'backoff', error);
    } finally {
      signal.removeEventListener('abort', stop);
      transport.close();
    }
  },
});
