/** HTTP to the control plane of agent.yaml; loaded, and its CA read, when it is first needed. */
import { readFile } from 'node:fs/promises';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { PostJson } from './http-json.ts';

export function controlPlanePoster(servers: {
  readonly controlPlane: string;
  readonly ca?: string | undefined;
}): PostJson {
  return async (path, body, signal) => {
    const { jsonPoster } = await import('./http-json.ts');
    const ca = servers.ca === undefined ? undefined : await readCa(servers.ca);
    return jsonPoster({ baseUrl: servers.controlPlane, ca })(path, body, signal);
  };
}

/** Read anew each time: a renewed CA needs no restart. */
async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new RunnelError('tls', `the CA file ${path} cannot be read: ${messageOf(error)}`, {
      retry: 'backoff',
      cause: error,
    });
  }
}
