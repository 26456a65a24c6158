/** What the installer did here (deploy/install/install.sh writes it), for `uninstall`. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { parseMessage, versionField } from '@runnel/shared/protocol/version.ts';

const path = z.string().regex(/^\/[^\n]*[^\n/]$/, 'is no absolute path');

const installReceipt = z.object({
  v: versionField,
  mode: z.enum(['system', 'user']),
  user: z.string(),
  /** The installer made that user, so it goes with the data that belongs to it. */
  madeUser: z.boolean(),
  /** Releases, and the link `current`. */
  prefix: path,
  config: path,
  data: path,
  /** The command. */
  bin: path,
  service: z.enum(['systemd', 'systemd-user', 'supervised']),
  unit: path,
  /** What starts it at boot. */
  boot: z.enum(['systemd', 'cron.d', 'crontab', 'none']),
});
export type InstallReceipt = z.infer<typeof installReceipt>;

/** Errors: `not_installed`, `receipt_damaged`. */
export async function readReceipt(file: string | undefined): Promise<InstallReceipt> {
  if (file === undefined) {
    throw new RunnelError('not_installed', 'this agent was not installed by the installer', {
      hint: 'run the command runnel-agent that it made; from sources, delete the folders',
    });
  }
  try {
    return parseMessage(installReceipt, JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new RunnelError('receipt_damaged', `${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'run the installer once more, which writes it anew',
    });
  }
}
