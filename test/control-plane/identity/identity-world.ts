/** An identity over a store in memory, with a clock that a test moves; ends with the test. */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Identity } from '@runnel/control-plane/identity/identity.ts';
import { openStore, type Store } from '@runnel/control-plane/store/open-store.ts';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { Labels } from '@runnel/shared/protocol/enrolment.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { limits } from '@runnel/shared/limits.ts';
import { silentLog } from '../../support/nats.ts';
import { tempDir } from '../../support/temp-dir.ts';

export interface World {
  readonly identity: Identity;
  readonly store: Store;
  readonly keysDir: string;
  readonly pushed: string[];
  /** Moves the clock. */
  readonly pass: (ms: number) => void;
  readonly token: (options?: TokenOptions) => Promise<string>;
}

interface TokenOptions {
  readonly labels?: Labels;
  readonly usesMax?: number;
  readonly expiresMs?: number;
}

export async function openWorld(): Promise<World> {
  const store = await openStore(':memory:');
  onTestFinished(() => store.close());
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, now: () => epochMs(systemClock.now() + aheadMs) };
  const keysDir = join(tempDir('keys'), 'keys');
  const pushed: string[] = [];
  const identity = await Identity.open({
    heartbeatIntervalMs: limits.heartbeatIntervalMs,
    store,
    keysDir,
    clock,
    random: systemRandom,
    log: silentLog,
    natsUrls: () => ['nats://127.0.0.1:4222'],
    natsCa: null,
    pushAccount: (jwt) => Promise.resolve(void pushed.push(jwt)),
  });
  const token = async (options: TokenOptions = {}): Promise<string> => {
    const made = await identity.createJoinToken({
      labels: options.labels ?? {},
      usesMax: options.usesMax ?? null,
      expiresMs: options.expiresMs ?? null,
      createdBy: 'test',
    });
    return made.token;
  };
  return { identity, store, keysDir, pushed, pass: (ms) => (aheadMs += ms), token };
}
