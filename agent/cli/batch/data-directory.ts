/** The directory that a dry run works in: the one that is given, or a new one that goes with it. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface DataDirectory {
  readonly path: string;
  /**
   * Takes away what is the agent's own of a new directory, and the directory when a job has made
   * nothing in it. Gives the files and directories that it keeps for the person.
   */
  settle(): readonly string[];
}

export function dataDirectory(given: string | undefined): DataDirectory {
  if (given !== undefined) {
    const path = resolve(given);
    mkdirSync(path, { recursive: true });
    return { path, settle: () => [] };
  }
  const path = mkdtempSync(join(tmpdir(), 'runnel-dry-run-'));
  return {
    path,
    settle() {
      for (const own of ['store', 'batch']) {
        rmSync(join(path, own), { recursive: true, force: true });
      }
      const kept = readdirSync(path).filter((name) => !name.startsWith('agent.'));
      if (kept.length === 0) rmSync(path, { recursive: true, force: true });
      return kept;
    },
  };
}
