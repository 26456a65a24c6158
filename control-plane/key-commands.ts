/**
 * What `runnel-control` does with the keys of a data directory, without serving.
 *
 * `nats-config` prints a whole configuration for a nats-server that others run. Its operator is
 * ours, so the control plane signs in there with its own keys (DIR/keys), no credentials file is
 * needed, and revocations are pushed through the system account. It holds no private key. Running
 * control planes are not disturbed.
 *
 * `rotate-signing-key` lets a new key sign desired state from the next start on; the one before it
 * stays on the list that devices get, so that what they hold stays good.
 */
import { existsSync } from 'node:fs';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import { DataDir, keysPath, storePath } from './data-dir.ts';
import { KeyRing } from './identity/key-ring.ts';
import { natsJwts, type Revocations } from './identity/nats-jwts.ts';
import { currentRevocations } from './identity/revocations.ts';
import type { ListenAddress } from './nats/listen-address.ts';
import { natsConfigFor, type NatsTls } from './nats/nats-config.ts';
import { NATS_VERSION_MIN } from './nats/nats-version.ts';
import { openStore } from './store/open-store.ts';

export interface NatsConfigRequest {
  /** Of the control plane; its keys are made when there are none. */
  readonly dataDir: string;
  /** The following are of the server's machine. */
  readonly listen: ListenAddress;
  readonly resolverDir: string;
  readonly tls?: NatsTls;
}

/** Errors: those of the keys and the store. */
export async function natsConfigText(
  request: NatsConfigRequest,
  clock: Clock,
  random: Random,
): Promise<string> {
  const { dataDir, listen, resolverDir, tls } = request;
  const keys = await KeyRing.open(keysPath(dataDir), random);
  const jwts = await natsJwts(keys.nats, await revocationsIn(dataDir, clock));
  const config = natsConfigFor({
    jwts,
    listen,
    resolverDir,
    ...(tls === undefined ? {} : { tls }),
  });
  const scheme = tls === undefined ? 'nats' : 'tls';
  return `# A NATS server for the Runnel fleet whose control plane has the keys in DIR/keys.
# On the server's machine, with nats-server ${NATS_VERSION_MIN} or newer:
#   nats-server -c THIS-FILE
# The control plane then needs no credentials file, since its own user is in DIR/keys:
#   runnel-control serve --data DIR --nats-url ${scheme}://HOST:${listen.port}
# Devices are given that URL; where they reach the server by another, add --nats-advertise URL.
# The server keeps what the control plane pushes (revocations) in the resolver's directory.
${config}`;
}

/** Empty before the first start of the control plane. */
async function revocationsIn(dataDir: string, clock: Clock): Promise<Revocations> {
  if (!existsSync(storePath(dataDir))) return {};
  const store = await openStore(storePath(dataDir));
  try {
    return await currentRevocations(store.db, clock.now());
  } finally {
    await store.close();
  }
}

/** Error `data_dir_locked` while a control plane runs there: it would go on with the old key. */
export async function rotateSigningKey(dataDir: string, random: Random): Promise<void> {
  const dir = await DataDir.take(dataDir);
  try {
    const keys = await KeyRing.open(dir.keys, random);
    await keys.rotateSigningKey();
  } finally {
    await dir.release();
  }
}
