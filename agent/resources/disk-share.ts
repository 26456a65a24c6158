/** How full the file system under a directory is. */
import { statfsSync } from 'node:fs';

/** 0 to 1, as `df` counts it: what only root may use is not free. Null where it cannot be told. */
export function diskShareOf(directory: string): number | null {
  try {
    const { bavail, bfree, blocks } = statfsSync(directory);
    const used = blocks - bfree;
    return used + bavail === 0 ? null : used / (used + bavail);
  } catch {
    // A platform without statfs, or a directory that is gone: there is no reading.
    return null;
  }
}
