/**
 * `runnel-control sign-in-link`: asks the running server of a data directory for a one-time link,
 * with the admin token that only its owner can read.
 */
import { readFile } from 'node:fs/promises';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { z } from 'zod';
import { adminTokenPath, readServer } from './data-dir.ts';

const REPLY_MS_MAX = 10_000;

/** Errors: `server_not_running`, `admin_token_missing`, `sign_in_link_refused`. */
export async function requestSignInLink(dir: string): Promise<string> {
  const server = await readServer(dir);
  if (server === undefined) throw notRunning(dir);
  const token = await adminToken(dir);
  let response: Response;
  try {
    response = await fetch(`${server.url}/api/v1/sign-in-links`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(REPLY_MS_MAX),
    });
  } catch (cause) {
    throw notRunning(dir, cause);
  }
  if (response.ok) return z.object({ url: z.string() }).parse(await response.json()).url;
  throw new RunnelError(
    'sign_in_link_refused',
    `${server.url} answered ${response.status}: ${(await response.text()).slice(0, 500)}`,
    { hint: `is ${adminTokenPath(dir)} still the token of an admin?` },
  );
}

async function adminToken(dir: string): Promise<string> {
  try {
    return (await readFile(adminTokenPath(dir), 'utf8')).trim();
  } catch (cause) {
    throw new RunnelError(
      'admin_token_missing',
      `cannot read the admin token: ${messageOf(cause)}`,
      {
        cause,
        hint: 'run this as the user that runs the control plane',
      },
    );
  }
}

function notRunning(dir: string, cause?: unknown): RunnelError {
  return new RunnelError('server_not_running', `no control plane runs on ${dir}`, {
    cause,
    hint: `start it: runnel-control serve --data ${dir}`,
  });
}
