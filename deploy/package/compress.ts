/**
 * Compresses parts of an archive. xz and gzip both let compressed parts be joined into one file, so
 * that the runtime, 120 MB that are the same in every build, is compressed once and kept.
 *
 * The same bytes come out for the same input, preset and version of xz, on however many cores:
 * blocks have a fixed size.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { PackageCompression } from '@runnel/shared/protocol/packages.ts';

const zip = promisify(gzip);
const XZ_ARGS = ['--format=xz', '--check=crc32', '--threads=2', '--block-size=64MiB', '--stdout'];

export interface Compressor {
  readonly compression: PackageCompression;
  /** 0 to 9, as both programs count. */
  readonly preset: number;
}

/** Error `xz_missing`, `xz_failed`. */
export async function compress(part: Buffer, { compression, preset }: Compressor) {
  return compression === 'gz' ? await zip(part, { level: preset }) : await xz(part, preset);
}

/** The same from the folder, when it was compressed before. */
export async function compressOnce(
  part: Buffer,
  compressor: Compressor,
  folder: string,
): Promise<Buffer> {
  const { compression, preset } = compressor;
  const maker = compression === 'xz' ? xzVersion() : `zlib ${process.versions.zlib}`;
  const key = createHash('sha256').update(`${maker}\n${preset}\n`).update(part).digest('hex');
  const path = join(folder, `${key}.${compression}`);
  if (existsSync(path)) return await readFile(path);
  const made = await compress(part, compressor);
  await mkdir(folder, { recursive: true });
  await writeFile(`${path}.${process.pid}`, made);
  await rename(`${path}.${process.pid}`, path);
  return made;
}

function xzVersion(): string {
  try {
    return execFileSync('xz', ['--version'], { encoding: 'utf8' }).split('\n', 1)[0]!;
  } catch (cause) {
    throw new RunnelError('xz_missing', 'the program xz is not installed', {
      cause,
      hint: 'on Debian and Ubuntu: apt-get install xz-utils',
    });
  }
}

function xz(part: Buffer, preset: number): Promise<Buffer> {
  xzVersion();
  return new Promise((resolve, reject) => {
    const child = spawn('xz', [`-${preset}`, ...XZ_ARGS], { stdio: ['pipe', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(chunks));
      else reject(new RunnelError('xz_failed', `xz ended with exit code ${code}`));
    });
    // When xz ends early its exit code says so; that it closed its input adds nothing.
    child.stdin.on('error', () => undefined);
    child.stdin.end(part);
  });
}
