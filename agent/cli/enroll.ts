/** `runnel-agent enroll`: makes this device one of a control plane's agents. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { type Labels, labels } from '@runnel/shared/protocol/enrolment.ts';
import { enrol } from '../sync/enrolment.ts';
import { jsonPoster } from '../sync/http-json.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { plain, type Terminal } from './terminal.ts';

export interface EnrollOptions {
  readonly url: string;
  readonly token: string;
  readonly data: string;
  readonly name?: string | undefined;
  readonly label: readonly string[];
  readonly ca?: string | undefined;
}

export async function enrollCommand(terminal: Terminal, options: EnrollOptions): Promise<ExitCode> {
  const dataDir = resolve(options.data);
  const caFile = options.ca === undefined ? undefined : resolve(options.ca);
  const ca = caFile === undefined ? undefined : await readCa(caFile);
  const { identity, approved, already } = await enrol({
    url: options.url,
    token: options.token.trim(),
    dataDir,
    name: options.name,
    hostName: hostname(),
    labels: parseLabels(options.label),
    caFile,
    clock: terminal.clock,
    post: jsonPoster({ baseUrl: options.url, ca }),
  });
  const name = plain(identity.name);
  if (already) {
    terminal.out(`already enrolled as ${name} (${identity.agent}); nothing was changed\n`);
  } else {
    terminal.out(`enrolled as ${name} (${identity.agent}) with ${options.url}\n`);
    if (options.name !== undefined && options.name !== identity.name) {
      terminal.out(`it keeps its name: another device is called ${options.name}\n`);
    }
  }
  if (!approved) {
    terminal.out(
      'a person must approve it first: this name belongs to a device with another key. The agent ' +
        'can be started now; it connects by itself once it is approved\n',
    );
  }
  // The installer starts it.
  if (terminal.env.RUNNEL_INSTALL !== undefined) return exitCodes.ok;
  terminal.out(`start it: npx runnel-agent run --data ${dataDir}\n`);
  return exitCodes.ok;
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new RunnelError('usage', `--ca ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** `k=v` pairs. Errors: `usage`. */
export function parseLabels(pairs: readonly string[]): Labels {
  const given: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at <= 0) {
      throw new RunnelError('usage', `--label ${pair}: write it as KEY=VALUE, e.g. site=lyon`);
    }
    given[pair.slice(0, at)] = pair.slice(at + 1);
  }
  const parsed = labels.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new RunnelError('usage', `--label: ${z.prettifyError(parsed.error)}`, {
    hint: 'letters, digits, dots, dashes and underscores; 63 at most',
  });
}
