/**
 * An incoming webhook as Slack, Mattermost, Rocket.Chat and others take it: a `text` for all of
 * them, and blocks for those that show them. Texts of devices are escaped: none can mention people
 * or make a link.
 */
import { z } from 'zod';
import { linesOf, subjectOf } from './message.ts';
import { post } from './post.ts';
import { caSetting, defineReceiver, TIMES, timeSettings, urlSetting } from './receiver-kind.ts';

/** Slack refuses a section of more than 3000 characters. */
const SECTION_CHARS_MAX = 2900;

export const slack = defineReceiver({
  settings: z.strictObject({
    ...timeSettings,
    url: urlSetting.optional(),
    channel: z.string().max(100).optional(),
    ca: caSetting,
  }),
  secrets: ['url'],
  times: TIMES,
  tellsAll: true,
  async send({ message, settings, secrets, signal }) {
    const title = escaped(subjectOf(message)).slice(0, SECTION_CHARS_MAX);
    const details = linesOf(message).map(escaped).join('\n').slice(0, SECTION_CHARS_MAX);
    const { channel, ca } = settings;
    const body = JSON.stringify({
      text: `${title}\n${details}`,
      blocks: [section(`*${title}*`), section(details)],
      ...(channel === undefined ? {} : { channel }),
    });
    const url = secrets.url ?? settings.url ?? '';
    await post({ url, headers: { 'content-type': 'application/json' }, body, ca }, signal);
  },
});

function section(text: string) {
  return { type: 'section', text: { type: 'mrkdwn', text } };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
