/**
 * Archives of the agent for devices, and the manifest that vouches for them.
 *
 * Two signatures with two meanings. The package build signs its manifest with a release key: these
 * bytes came out of that build; the control plane checks it (against a pinned key when it is given
 * one) before it serves anything. A device knows no release key: it trusts the root key whose
 * fingerprint its join token carries. So the control plane signs the same text again with its
 * signing key, and sends the root's list of keys along, exactly as for desired state. The literal
 * `kind` inside the signed text keeps a manifest from ever being taken for a desired document.
 */
import { z } from 'zod';
import { signedKeyList } from './desired.ts';
import { versionField } from './version.ts';

export const PACKAGE_PLATFORMS = ['linux-x64', 'linux-arm64'] as const;
export type PackagePlatform = (typeof PACKAGE_PLATFORMS)[number];

/** `agent` runs by itself; `duckdb` is unpacked over it and adds the task `sql`. */
export const PACKAGE_KINDS = ['agent', 'duckdb'] as const;
export type PackageKind = (typeof PACKAGE_KINDS)[number];

/** `gz` is for devices that have no xz. */
export const PACKAGE_COMPRESSIONS = ['xz', 'gz'] as const;
export type PackageCompression = (typeof PACKAGE_COMPRESSIONS)[number];

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

export const packageFile = z.object({
  /** One path segment, so that it can name no other folder. */
  name: z.string().regex(/^runnel-agent[A-Za-z0-9.+-]{1,100}\.tar\.(xz|gz)$/),
  kind: z.enum(PACKAGE_KINDS),
  platform: z.enum(PACKAGE_PLATFORMS),
  compression: z.enum(PACKAGE_COMPRESSIONS),
  /** Bytes. */
  size: z.number().int().positive(),
  sha256: sha256Hex,
});
export type PackageFile = z.infer<typeof packageFile>;

export const packageManifest = z.object({
  v: versionField,
  kind: z.literal('runnel-packages'),
  /** Of the agent; shell scripts use it as a word and as a folder's name. */
  version: z.string().regex(/^[0-9][A-Za-z0-9.+-]{0,63}$/),
  /** Of the Node.js runtime inside. */
  node: z.string().regex(/^\d+\.\d+\.\d+$/),
  /** Of `install.sh` beside the archives, before a control plane fills it in. */
  installer: z.object({ sha256: sha256Hex }),
  files: z.array(packageFile).min(1).max(64),
});
export type PackageManifest = z.infer<typeof packageManifest>;

/** `manifest.json` beside the archives: `payload` is the exact JSON text of a manifest. */
export const releasedManifest = z.object({
  v: versionField,
  payload: z.string(),
  /** Of the release key: raw Ed25519, base64url. */
  publicKey: z.string(),
  signature: z.string(),
});
export type ReleasedManifest = z.infer<typeof releasedManifest>;

/** `GET /packages/manifest.json`: the same text, signed by the key `keyId` of `keys`. */
export const servedManifest = z.object({
  v: versionField,
  payload: z.string(),
  keyId: z.string(),
  signature: z.string(),
  keys: signedKeyList,
});
export type ServedManifest = z.infer<typeof servedManifest>;
