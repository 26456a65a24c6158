/**
 * The folder of archives that `npm run package` made, as this control plane offers it to devices.
 *
 * Guarantees: nothing is offered of a folder whose manifest its release key has not signed, nor of
 * one that another key signed when one is pinned; only files that the manifest names can be asked
 * for. It is read again when its manifest changes, so that a new build needs no restart. What
 * devices get of an archive they check themselves, by the SHA-256 that is signed here.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import {
  type PackageFile,
  type PackageManifest,
  packageManifest,
  releasedManifest,
  type ServedManifest,
} from '@runnel/shared/protocol/packages.ts';
import { verifySignature } from '@runnel/shared/protocol/signing.ts';
import { parseMessage } from '@runnel/shared/protocol/version.ts';
import { filledInstaller } from './install-script.ts';

export interface PackagesChoice {
  readonly folder: string;
  /** Public half of the one release key whose archives are offered; without it any. */
  readonly releaseKey: string | undefined;
  /** PEM of the private CA of the address at which devices reach this control plane. */
  readonly publicCa: string | undefined;
}

interface PackageFolderOptions extends PackagesChoice {
  /** Signs a text with the signing key of this control plane. */
  readonly sign: (payload: string) => ServedManifest;
  /** How devices reach it; without it the command line of a device says it alone. */
  readonly publicUrl: string | undefined;
}

export interface Offer {
  readonly manifest: PackageManifest;
  /** As `GET /packages/manifest.json` serves it. */
  readonly served: ServedManifest;
  /** `install.sh`, filled in. */
  readonly installer: { readonly text: string; readonly sha256: string };
}

export class PackageFolder {
  readonly #options: PackageFolderOptions;
  #seen: { readonly changedMs: number; readonly offer: Offer } | undefined;

  constructor(options: PackageFolderOptions) {
    this.#options = options;
  }

  /** Whether the installer brings a CA along. */
  get hasPrivateCa(): boolean {
    return this.#options.publicCa !== undefined;
  }

  /** Errors: `packages_not_found` (none were made), `packages_invalid`. */
  async offer(): Promise<Offer> {
    const path = join(this.#options.folder, 'manifest.json');
    const changedMs = await changeOf(path);
    if (changedMs === undefined) {
      throw new RunnelError('packages_not_found', `no archives of the agent in ${path}`, {
        hint: 'make them with npm run package; elsewhere: serve --packages DIR',
      });
    }
    if (this.#seen?.changedMs !== changedMs) {
      this.#seen = { changedMs, offer: await this.#read(path) };
    }
    return this.#seen.offer;
  }

  /** Path and facts of an archive by its name. Errors: those of `offer`; `package_not_found`. */
  async file(name: string): Promise<{ readonly path: string; readonly file: PackageFile }> {
    const { manifest } = await this.offer();
    const file = manifest.files.find((candidate) => candidate.name === name);
    if (file !== undefined) return { path: join(this.#options.folder, file.name), file };
    throw new RunnelError('package_not_found', `there is no archive ${name.slice(0, 200)}`);
  }

  async #read(path: string): Promise<Offer> {
    const { folder, sign, publicUrl, publicCa } = this.#options;
    const manifest = await this.#released(path);
    for (const { name, size } of manifest.files) {
      const found = await sizeOf(join(folder, name));
      if (found !== size) throw invalid(`${name} has ${found ?? 'no'} bytes, not ${size}`);
    }
    const template = await readFile(join(folder, 'install.sh'), 'utf8');
    if (sha256(template) !== manifest.installer.sha256) {
      throw invalid('install.sh is not the one of the manifest');
    }
    const text = filledInstaller(template, { manifest, url: publicUrl, ca: publicCa });
    const served = sign(JSON.stringify(manifest));
    return { manifest, served, installer: { text, sha256: sha256(text) } };
  }

  /** The manifest, when a release key vouches for it. */
  async #released(path: string): Promise<PackageManifest> {
    try {
      const text = await readFile(path, 'utf8');
      const released = parseMessage(releasedManifest, JSON.parse(text));
      const { releaseKey = released.publicKey } = this.#options;
      if (releaseKey !== released.publicKey) {
        throw invalid(`signed by the release key ${released.publicKey}, not by --packages-key`);
      }
      if (!verifySignature(releaseKey, released.payload, released.signature)) {
        throw invalid('the signature of the manifest does not verify');
      }
      return parseMessage(packageManifest, JSON.parse(released.payload));
    } catch (error) {
      if (error instanceof RunnelError && error.code === 'packages_invalid') throw error;
      throw invalid(`manifest.json: ${messageOf(error)}`, error);
    }
  }
}

function invalid(why: string, cause?: unknown): RunnelError {
  return new RunnelError('packages_invalid', `the folder of archives is not offered: ${why}`, {
    cause,
    hint: 'make them anew with npm run package, or copy the whole folder again',
  });
}

async function changeOf(path: string): Promise<number | undefined> {
  return (await statIfThere(path))?.mtimeMs;
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await statIfThere(path))?.size;
}

async function statIfThere(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
