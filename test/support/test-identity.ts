/** The control plane's identity over a store in memory, with no NATS; ends with the test. */
import { onTestFinished } from 'vitest';
import { Identity } from '@runnel/control-plane/identity/identity.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { limits } from '@runnel/shared/limits.ts';
import { silentLog } from './nats.ts';
import { tempDir } from './temp-dir.ts';

export async function openTestIdentity(natsUrl = 'nats://127.0.0.1:1'): Promise<Identity> {
  const store = await openStore(':memory:');
  onTestFinished(() => store.close());
  return Identity.open({
    heartbeatIntervalMs: limits.heartbeatIntervalMs,
    store,
    keysDir: tempDir('keys'),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    natsUrls: () => [natsUrl],
    natsCa: null,
    pushAccount: () => Promise.resolve(),
  });
}

export async function joinToken(
  identity: Identity,
  limits: { readonly usesMax?: number; readonly expiresMs?: number } = {},
): Promise<string> {
  const { token } = await identity.createJoinToken({
    labels: {},
    usesMax: limits.usesMax ?? null,
    expiresMs: limits.expiresMs ?? null,
    createdBy: 'test',
  });
  return token;
}
