/**
 * Which nats-server is new enough. 2.9.10 (Debian 12) has known advisories and gets no fixes;
 * 2.10.27 is the oldest release without known ones that a supported system ships.
 */
import { run } from './run-program.ts';

export const NATS_VERSION_MIN = '2.10.27';

/** `nats-server: v2.10.27` or `nats-server: v2.15.0-RC.1` as three numbers; undefined else. */
export function parseNatsVersion(output: string): readonly [number, number, number] | undefined {
  const found = /nats-server:?\s+v?(\d+)\.(\d+)\.(\d+)/i.exec(output);
  if (found === null) return undefined;
  return [Number(found[1]), Number(found[2]), Number(found[3])];
}

export function isNewEnough(version: readonly [number, number, number]): boolean {
  const least = NATS_VERSION_MIN.split('.').map(Number);
  for (const [index, part] of version.entries()) {
    const wanted = least[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

export type NatsCheck =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly why: string };

/** Asks the program itself, so that a truncated or foreign file is never taken for a server. */
export async function checkNatsServer(path: string, signal: AbortSignal): Promise<NatsCheck> {
  const result = await run(path, ['--version'], { signal });
  if (!result.ok) return { ok: false, why: `${path}: ${result.why}` };
  const version = parseNatsVersion(result.output);
  if (version === undefined) return { ok: false, why: `${path} is not a nats-server` };
  const text = version.join('.');
  if (isNewEnough(version)) return { ok: true, version: text };
  return {
    ok: false,
    why: `${path} is ${text}: too old, ${NATS_VERSION_MIN} is the oldest without known advisories`,
  };
}
