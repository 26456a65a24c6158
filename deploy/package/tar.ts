/**
 * Tar files as this build needs them: reads those of npm packages, writes ustar that holds nothing
 * of the machine that wrote it. Owner 0, no names of users, one fixed time: the same entries give
 * the same bytes.
 */
import { RunnelError } from '@runnel/shared/errors.ts';

export interface TarFile {
  /** With `/`, relative. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly executable: boolean;
}

const BLOCK = 512;
/** 2000-01-01: tar warns of 1970 as "implausibly old". */
const TIME_SECONDS = 946_684_800;
/** Two empty blocks close an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** Files of an archive; paths as they are in it. Error: `archive_damaged`. */
export function readTar(archive: Buffer): TarFile[] {
  const files: TarFile[] = [];
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    if (header[0] === 0) break;
    const size = octal(header, 124, 12);
    const bytes = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (!Number.isSafeInteger(size) || bytes.length !== size) {
      throw new RunnelError('archive_damaged', `the archive ends within ${text(header, 0, 100)}`);
    }
    const type = String.fromCharCode(header[156]!);
    const prefix = text(header, 345, 155);
    const name = `${prefix === '' ? '' : `${prefix}/`}${text(header, 0, 100)}`;
    if (type === 'x') longName = paxPath(bytes);
    else if (type === '0' || type === '\0') {
      const executable = (octal(header, 100, 8) & 0o111) !== 0;
      files.push({ path: longName ?? name, bytes, executable });
      longName = undefined;
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? length : end).toString('utf8');
}

function octal(header: Buffer, at: number, length: number): number {
  return Number.parseInt(text(header, at, length).trim() || '0', 8);
}

/** Lines `LENGTH path=VALUE`; undefined when the extension says nothing of the path. */
function paxPath(bytes: Buffer): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(bytes.toString('utf8'))?.[1];
}

/** The entries of these files and their folders, sorted, without the end of the archive. */
export function writeTar(files: readonly TarFile[]): Buffer {
  const folders = new Set(files.flatMap(({ path }) => foldersOf(path)));
  const entries = [
    ...[...folders].map((path) => ({ path: `${path}/`, bytes: Buffer.alloc(0), folder: true })),
    ...files.map((file) => ({ ...file, folder: false })),
  ].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return Buffer.concat(
    entries.flatMap((entry) => {
      const mode = entry.folder || ('executable' in entry && entry.executable) ? 0o755 : 0o644;
      const padding = Buffer.alloc((BLOCK - (entry.bytes.length % BLOCK)) % BLOCK);
      const type = entry.folder ? '5' : '0';
      return [headerOf(entry.path, type, mode, entry.bytes.length), entry.bytes, padding];
    }),
  );
}

/** `a/b` and `a` of `a/b/c`. */
function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** Error `archive_path`: ustar holds 100 bytes, and 155 more before a slash. */
function headerOf(path: string, type: '0' | '5', mode: number, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const { name, prefix } = splitPath(path);
  header.write(name, 0, 'utf8');
  header.write(octalText(mode, 7), 100);
  header.write(octalText(0, 7), 108);
  header.write(octalText(0, 7), 116);
  header.write(octalText(size, 11), 124);
  header.write(octalText(TIME_SECONDS, 11), 136);
  header.write(' '.repeat(8), 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(prefix, 345, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octalText(sum, 6)}\0 `, 148);
  return header;
}

function splitPath(path: string): { readonly name: string; readonly prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  const slashes = [...path.matchAll(/\/(?!$)/g)].map((match) => match.index);
  const at = slashes.find((slash) => Buffer.byteLength(path.slice(slash + 1)) <= 100);
  if (at === undefined || Buffer.byteLength(path.slice(0, at)) > 155) {
    throw new RunnelError('archive_path', `${path} is too long for a tar file`);
  }
  return { name: path.slice(at + 1), prefix: path.slice(0, at) };
}

function octalText(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
