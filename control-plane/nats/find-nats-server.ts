/**
 * Finds a nats-server that is new enough, and fetches one when there is none.
 *
 * In this order: `NATS_SERVER`, PATH, the project's own cache, the official release (version and
 * checksum pinned), Debian's package of trixie unpacked without root. Each step has a time limit
 * and says what it tried, so that the final error tells a person exactly what to do. What
 * `NATS_SERVER` names is a wish: when it cannot be fulfilled that is an error, not a reason to
 * take another one silently. Nothing outside the cache directory is written.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import { fetchDebianPackage } from './nats-debian.ts';
import { type FetchResult, NATS_RELEASE, type NatsRelease, fetchRelease } from './nats-release.ts';
import { NATS_VERSION_MIN, checkNatsServer } from './nats-version.ts';
import { cachedNatsServer, defaultCacheDir, inWorkDir, installProgram } from './program-cache.ts';

const STEP_TIMEOUT_MS = 10_000;

export interface FindOptions {
  readonly clock: Clock;
  readonly env: NodeJS.ProcessEnv;
  /** Default: `RUNNEL_CACHE`, `XDG_CACHE_HOME/runnel` or `~/.cache/runnel`. */
  readonly cacheDir?: string;
  /** One line for each step, as it happens. */
  readonly log?: (line: string) => void;
  readonly platform?: string;
  readonly arch?: string;
  /** Another release, for a mirror of one's own. */
  readonly release?: NatsRelease;
  /** How a package of the system is fetched; without it Debian's. */
  readonly fetchPackage?: typeof fetchDebianPackage;
  readonly stepTimeoutMs?: number;
  /** Gives up what is under way and every step after it when it aborts. */
  readonly signal?: AbortSignal;
}

export interface FoundNatsServer {
  readonly path: string;
  readonly version: string;
  readonly from: 'NATS_SERVER' | 'PATH' | 'cache' | 'release' | 'debian';
  /** What was tried before, in order. */
  readonly tried: readonly string[];
}

/** Errors: `nats_server_missing`, `nats_server_unusable` (what `NATS_SERVER` names). */
export async function findNatsServer(options: FindOptions): Promise<FoundNatsServer> {
  return await new Finder(options).find();
}

class Finder {
  readonly #options: FindOptions;
  readonly #tried: string[] = [];
  readonly #cacheDir: string;
  readonly #platform: string;
  readonly #arch: string;

  constructor(options: FindOptions) {
    this.#options = options;
    this.#cacheDir = options.cacheDir ?? defaultCacheDir(options.env);
    this.#platform = options.platform ?? process.platform;
    this.#arch = options.arch ?? process.arch;
  }

  async find(): Promise<FoundNatsServer> {
    const found =
      (await this.#fromVariable()) ??
      (await this.#fromPath()) ??
      (await this.#fromCache()) ??
      (await this.#fromRelease()) ??
      (await this.#fromDebian());
    if (found !== undefined) return found;
    throw new RunnelError(
      'nats_server_missing',
      `no nats-server ${NATS_VERSION_MIN} or newer could be had. Tried:\n` +
        this.#tried.map((line) => `  - ${line}`).join('\n'),
      {
        hint:
          `install nats-server ${NATS_VERSION_MIN} or newer so that it is on the PATH, or set ` +
          `NATS_SERVER to its file, or copy the file to ${this.#cached()}`,
        fields: { tried: this.#tried },
      },
    );
  }

  async #fromVariable(): Promise<FoundNatsServer | undefined> {
    const path = this.#options.env.NATS_SERVER;
    if (path === undefined || path === '') {
      this.#say('NATS_SERVER: not set');
      return undefined;
    }
    const found = await this.#check('NATS_SERVER', path);
    if (found !== undefined) return found;
    throw new RunnelError('nats_server_unusable', this.#tried.join('; '), {
      hint: 'set NATS_SERVER to the file of a newer nats-server, or unset it to have one found',
    });
  }

  async #fromPath(): Promise<FoundNatsServer | undefined> {
    const folders = (this.#options.env.PATH ?? '').split(delimiter).filter((part) => part !== '');
    const paths = folders.map((folder) => join(folder, 'nats-server')).filter(existsSync);
    for (const path of new Set(paths)) {
      const found = await this.#check('PATH', path);
      if (found !== undefined) return found;
    }
    if (paths.length === 0) this.#say('PATH: no nats-server on it');
    return undefined;
  }

  async #fromCache(): Promise<FoundNatsServer | undefined> {
    const path = this.#cached();
    if (existsSync(path)) return await this.#check('cache', path);
    this.#say(`cache: nothing at ${path}`);
    return undefined;
  }

  async #fromRelease(): Promise<FoundNatsServer | undefined> {
    return await this.#fetch('release', (workDir) =>
      this.#withTimeout((signal) =>
        fetchRelease({
          release: this.#options.release ?? NATS_RELEASE,
          platform: this.#platform,
          arch: this.#arch,
          workDir,
          signal,
        }),
      ),
    );
  }

  async #fromDebian(): Promise<FoundNatsServer | undefined> {
    const fetchPackage = this.#options.fetchPackage ?? fetchDebianPackage;
    return await this.#fetch('debian', (workDir) =>
      fetchPackage({
        workDir,
        env: this.#options.env,
        withTimeout: (work) => this.#withTimeout(work),
      }),
    );
  }

  async #fetch(
    from: 'release' | 'debian',
    fetchIt: (workDir: string) => Promise<FetchResult>,
  ): Promise<FoundNatsServer | undefined> {
    try {
      return await inWorkDir(this.#cacheDir, async (workDir) => {
        const fetched = await fetchIt(workDir);
        if (!fetched.ok) {
          this.#say(`${from}: ${fetched.why}`);
          return undefined;
        }
        // What was fetched must run here before it may take a place in the cache.
        const checked = await this.#check(from, fetched.path);
        if (checked === undefined) return undefined;
        await installProgram(fetched.path, this.#cached());
        return { ...checked, path: this.#cached() };
      });
    } catch (error) {
      this.#say(`${from}: ${messageOf(error)}`);
      return undefined;
    }
  }

  async #check(from: FoundNatsServer['from'], path: string): Promise<FoundNatsServer | undefined> {
    const result = await this.#withTimeout((signal) => checkNatsServer(path, signal));
    if (result.ok) return { path, version: result.version, from, tried: [...this.#tried] };
    this.#say(`${from}: ${result.why}`);
    return undefined;
  }

  async #withTimeout<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const { signal } = this.#options;
    const asked = signal === undefined ? [] : [signal];
    const timeoutMs = this.#options.stepTimeoutMs ?? STEP_TIMEOUT_MS;
    const cancel = this.#options.clock.after(timeoutMs, () => controller.abort());
    try {
      return await work(AbortSignal.any([controller.signal, ...asked]));
    } finally {
      cancel();
    }
  }

  #cached(): string {
    return cachedNatsServer(this.#cacheDir, this.#platform, this.#arch);
  }

  #say(line: string): void {
    this.#tried.push(line);
    this.#options.log?.(line);
  }
}
