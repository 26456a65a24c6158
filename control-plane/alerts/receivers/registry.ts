/** The kinds of receivers: an explicit list. */
import type { ReceiverKind } from '../../http/alert-messages.ts';
import { alertmanager } from './alertmanager.ts';
import { email } from './email.ts';
import type { ReceiverKindOf } from './receiver-kind.ts';
import { slack } from './slack.ts';
import { webhook } from './webhook.ts';

export const RECEIVER_KINDS: Readonly<Record<ReceiverKind, ReceiverKindOf>> = {
  webhook,
  email,
  slack,
  alertmanager,
};
