/**
 * What setup, start and verify share: where things are, and how a child process is run. Plain
 * Node with nothing installed: this runs before `npm ci`.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** Everything that setup and `npm start` keep: caches, stamps, data. Git ignores it. */
export const localDir = join(root, '.runnel');

export function say(text) {
  process.stdout.write(`${text}\n`);
}

export function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/** Runs a program with our own output; resolves to its exit code. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', ...options });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

/** The npm that runs us, or the one on the PATH. */
export function npm(args, options) {
  const script = process.env.npm_execpath;
  return script !== undefined && script.endsWith('.js')
    ? run(process.execPath, [script, ...args], options)
    : run('npm', args, options);
}

/** A stamp says for which input a step was done, so that doing it again is free. */
export function stampIs(name, value) {
  const file = join(localDir, 'stamps', name);
  return existsSync(file) && readFileSync(file, 'utf8') === value;
}

export function writeStamp(name, value) {
  mkdirSync(join(localDir, 'stamps'), { recursive: true });
  writeFileSync(join(localDir, 'stamps', name), value);
}

/** SHA-256 over the paths, sizes and contents below some folders of the repository. */
export function hashOf(paths) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const entry of readdirSync(full).toSorted()) {
        if (entry !== 'node_modules' && entry !== 'dist') visit(join(path, entry));
      }
      return;
    }
    hash.update(path).update('\0').update(readFileSync(full));
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}
