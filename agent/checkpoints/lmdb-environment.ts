/** One LMDB environment with the databases of store-layout.ts, and who reads in it. */
import { mkdirSync } from 'node:fs';
import { open, type Database, type RootDatabase } from 'lmdb';
import type { StoreKey } from './checkpoint-store.ts';
import { DATABASES, type DbName } from './store-layout.ts';

type Db = Database<Buffer, StoreKey & (string | number)>;

export interface Environment {
  readonly root: RootDatabase<Buffer, string>;
  readonly dbs: Record<DbName, Db>;
  /** Ranges that are being read. */
  readers: number;
  /** Another has taken its place; it is closed when nobody reads in it. */
  retired: boolean;
}

export function openEnvironment(dir: string, bytesMax: number): Environment {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const root: RootDatabase<Buffer, string> = open({
    path: dir,
    noSubdir: false,
    maxDbs: 16,
    overlappingSync: false,
    eventTurnBatching: false,
    encoding: 'binary',
    mapSize: Math.min(bytesMax, 64 * 1024 * 1024),
  });
  const dbs = Object.fromEntries(
    Object.entries(DATABASES).map(([name, settings]) => [
      name,
      root.openDB({ name, encoding: 'binary', ...settings }) as unknown as Db,
    ]),
  ) as Record<DbName, Db>;
  return { root, dbs, readers: 0, retired: false };
}
