/**
 * The files that a path with `*`, `?` and `[…]` in its last part names, by name.
 *
 * Only regular files; names that begin with a dot need a pattern that does, as in a shell.
 */
import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { TaskPolicy } from '../tasks/task-services.ts';

export interface ListedFile {
  /** Absolute. */
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly changedMs: number;
}

/** Throws `TaskError`: `policy`, `data` when a file without pattern is missing, `resources`. */
export async function listFiles(pattern: string, policy: TaskPolicy): Promise<ListedFile[]> {
  const last = basename(pattern);
  if (!/[*?[]/.test(last)) return [await fileAt(policy.path(pattern))];
  const folder = policy.path(dirname(pattern));
  const matches = matcherOf(last);
  const names = (await namesIn(folder)).filter((name) => matches(name)).toSorted();
  const files: ListedFile[] = [];
  for (const name of names) {
    // A link may lead out of what is allowed: each is judged by itself.
    const path = policy.path(join(folder, name));
    const facts = await factsOf(path);
    if (facts?.isFile() !== true) continue;
    files.push({ path, name, bytes: facts.size, changedMs: Math.floor(facts.mtimeMs) });
    if (files.length > limits.extractFilesMax) {
      throw new TaskError(
        'resources',
        'files_max',
        `${pattern} names more than ${limits.extractFilesMax} files`,
        { hint: 'Move what was taken away, or use a narrower pattern.' },
      );
    }
  }
  return files;
}

/** Null where the file has gone since it was listed. What cannot be looked at is not left out. */
async function factsOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new TaskError('data', 'file_unreadable', `cannot read ${path}: ${messageOf(error)}`, {
      cause: error,
      hint: 'Mend or move the file, or use a pattern that leaves it out.',
    });
  }
}

async function fileAt(path: string): Promise<ListedFile> {
  const facts = await stat(path).catch((error: unknown) => {
    throw new TaskError('data', 'file_missing', `cannot read ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  if (!facts.isFile()) throw new TaskError('data', 'file_missing', `${path} is no file`);
  const changedMs = Math.floor(facts.mtimeMs);
  return { path, name: basename(path), bytes: facts.size, changedMs };
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    throw new TaskError('data', 'file_missing', `cannot read ${folder}: ${messageOf(error)}`, {
      cause: error,
    });
  });
}

/**
 * Whether a name matches. No regular expression of a document's text runs here: stars are tried by
 * hand, n² at most.
 */
export function matcherOf(pattern: string): (name: string) => boolean {
  const parts = pattern.match(/\[[^\]]+\]|\*+|[^]/gu) ?? [];
  return (name) => {
    if (name.startsWith('.') && !pattern.startsWith('.')) return false;
    return matches(parts, name.match(/[^]/gu) ?? []);
  };
}

function matches(parts: readonly string[], chars: readonly string[]): boolean {
  let [part, char, star, retry] = [0, 0, -1, 0];
  while (char < chars.length) {
    const wanted = parts[part];
    if (wanted?.startsWith('*') === true) {
      star = part;
      retry = char;
      part += 1;
    } else if (wanted !== undefined && fits(wanted, chars[char] ?? '')) {
      part += 1;
      char += 1;
    } else if (star >= 0) {
      retry += 1;
      char = retry;
      part = star + 1;
    } else return false;
  }
  while (parts[part]?.startsWith('*') === true) part += 1;
  return part === parts.length;
}

function fits(part: string, char: string): boolean {
  if (part === '?') return true;
  if (part.length < 3 || !part.startsWith('[')) return part === char;
  const isNot = /^\[[!^]/.test(part);
  const set = part.slice(isNot ? 2 : 1, -1);
  const ranges = [...set.matchAll(/([^])-([^])|([^])/gu)];
  const isIn = ranges.some(([, from, to, one]) =>
    one === undefined ? char >= (from ?? '') && char <= (to ?? '') : char === one,
  );
  return isIn !== isNot;
}
