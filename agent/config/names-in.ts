import { readdir } from 'node:fs/promises';
import { isMissing } from './durable-file.ts';

/** Names in a directory; none where there is no such directory. Other errors are thrown. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
