/** What a file holds, or undefined when there is none. */
import { existsSync, readFileSync } from 'node:fs';

export function ifThere(path: string): Buffer | undefined {
  return existsSync(path) ? readFileSync(path) : undefined;
}
