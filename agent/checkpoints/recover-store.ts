/**
 * Opens the store after looking at how the last process ended (DESIGN.md §6.6).
 *
 * After an unclean stop a child process reads the store through. When it dies or finds damage, the
 * directory is set aside as `store.damaged-<time>` (kept for a person to look at, the newest only,
 * so that a failing disk cannot fill itself) and a new store begins; the caller raises `storage:
 * Recovered`. Refuses a store of a newer format: it is whole, so it is not set aside.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { openCheckpointStore, type ReplaceableStore } from './checkpoint-store.ts';
import { settleCompaction } from './compaction-files.ts';
import { checkFormat } from './store-layout.ts';

const EXIT_NEWER = 4;
/** Reading 1 GiB from a slow flash card takes about 50 s. */
const VERIFY_MS_MAX = 300_000;
const DAMAGED = 'store.damaged-';

export interface OpenStoreOptions {
  readonly dataDir: string;
  readonly bytesMax: number;
  readonly clock: Clock;
  /** Whether the last process died without closing the store. */
  readonly unclean: boolean;
  /** Path of the built verify-store.js; run with this Node. */
  readonly verifyEntry: string;
}

export interface OpenedStore {
  readonly store: ReplaceableStore;
  /** Where the damaged store was set aside and why; undefined when all was well. */
  readonly recovered: { readonly setAside: string; readonly reason: string } | undefined;
}

export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const dir = join(options.dataDir, 'store');
  settleCompaction(options.dataDir);
  let recovered: OpenedStore['recovered'];
  if (options.unclean && existsSync(join(dir, 'data.mdb'))) {
    const reason = await findDamage(options.verifyEntry, dir, options.clock);
    if (reason !== undefined) recovered = { setAside: setAside(options, dir), reason };
  }
  const { clock } = options;
  const store = openCheckpointStore({
    dir,
    bytesMax: options.bytesMax,
    monotonicMs: () => clock.monotonicMs(),
  });
  try {
    await checkFormat(store);
  } catch (error) {
    await store.close();
    throw error;
  }
  return { store, recovered };
}

/**
 * Undefined when the child read everything; else what went wrong. Throws the reason of the signal
 * when the child is gone.
 */
export async function findDamage(
  entry: string,
  dir: string,
  clock: Clock,
  aborted?: AbortSignal,
): Promise<string | undefined> {
  if (!existsSync(entry)) {
    throw new RunnelError('verify_missing', `${entry} is not there to check the store with`, {
      hint: 'Run npm run setup.',
    });
  }
  const child = spawn(process.execPath, [entry, dir], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < 2000) stderr += chunk.toString('utf8');
  });
  const kill = (): void => void child.kill('SIGKILL');
  const stopTimer = clock.after(VERIFY_MS_MAX, kill);
  aborted?.addEventListener('abort', kill, { once: true });
  const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>(
    (resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    },
  );
  stopTimer();
  aborted?.removeEventListener('abort', kill);
  aborted?.throwIfAborted();
  if (code === 0) return undefined;
  const text = stderr.trim().split('\n').at(-1) ?? '';
  if (code === EXIT_NEWER) {
    throw new RunnelError('store_format_newer', text, {
      hint: 'This data was written by a newer agent; run that version, or a new data directory.',
    });
  }
  return signal === null ? `damaged: ${text}` : `reading it ended with ${signal}`;
}

function setAside(options: OpenStoreOptions, dir: string): string {
  for (const name of readdirSync(options.dataDir)) {
    if (name.startsWith(DAMAGED)) rmSync(join(options.dataDir, name), { recursive: true });
  }
  const target = join(options.dataDir, `${DAMAGED}${options.clock.now()}`);
  renameSync(dir, target);
  return target;
}
