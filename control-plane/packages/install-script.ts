/**
 * The installer as it is served, and the one line that fetches and runs it.
 *
 * The line carries the SHA-256 of the installer, and the installer those of the archives: whoever
 * copies the line from the page or the command line needs to trust nothing between. So the
 * transport may be plain HTTP, or HTTPS of a CA that the device does not know yet; the installer
 * brings that CA along for everything after. The token is not sent before the installer was
 * checked.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { PackageManifest } from '@runnel/shared/protocol/packages.ts';

export interface InstallerFacts {
  readonly manifest: PackageManifest;
  readonly url: string | undefined;
  /** PEM. */
  readonly ca: string | undefined;
}

/** Errors: `packages_invalid` for an installer with other places than these. */
export function filledInstaller(template: string, { manifest, url, ca }: InstallerFacts): string {
  const packages = manifest.files.map(({ kind, platform, compression, name, size, sha256 }) =>
    [kind, platform, compression, name, size, sha256].join(' '),
  );
  const values: Readonly<Record<string, string>> = {
    VERSION: manifest.version,
    URL: url ?? '',
    PACKAGES: packages.join('\n'),
    CA: ca?.trim() ?? '',
  };
  let text = template;
  for (const [name, value] of Object.entries(values)) {
    const place = `'@${name}@'\n`;
    if (text.split(place).length !== 2) {
      throw new RunnelError('packages_invalid', `install.sh has no one place for ${name}`);
    }
    text = text.replace(place, () => `${quoted(value)}\n`);
  }
  return text;
}

export interface InstallLine {
  readonly url: string;
  readonly token: string;
  /** Of the installer as it is served. */
  readonly sha256: string;
  /** Whether the device may not know the CA of the address. */
  readonly privateCa: boolean;
}

/**
 * One line for any POSIX shell, with curl or wget. As root, or through sudo where there is one; a
 * user without such rights leaves sudo out and gets an agent in the home directory.
 */
export function installLine({ url, token, sha256, privateCa }: InstallLine): string {
  const script = word(`${url}/install.sh`);
  const unchecked = privateCa ? { curl: ' -k', wget: ' --no-check-certificate' } : NONE;
  return [
    `f=$(mktemp)`,
    `{ command -v curl >/dev/null && curl -fsS${unchecked.curl} -o "$f" ${script} ||` +
      ` wget -q${unchecked.wget} -O "$f" ${script}; }`,
    `echo "${sha256}  $f" | sha256sum -c - >/dev/null`,
    `$(command -v sudo) sh "$f" --url ${word(url)} --token ${token}`,
  ].join(' && ');
}

const NONE = { curl: '', wget: '' } as const;

/** For a shell; plain characters stay as they are, so that people can read the line. */
function word(text: string): string {
  return /^[A-Za-z0-9_./:@%+-]+$/.test(text) ? text : quoted(text);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
