/**
 * Fails a test file that leaves servers, sockets or child processes behind, and offers temporary
 * directories and deadlines to the rest. A test that ends while something of it still runs hides
 * a shutdown bug.
 */
import { afterAll, expect } from 'vitest';

const LEAKS = new Set(['TCPServerWrap', 'TCPSocketWrap', 'ProcessWrap', 'PipeWrap']);
const before = open();

function open(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => LEAKS.has(kind));
}

afterAll(async () => {
  const deadline = performance.now() + 3000;
  while (open().length > before.length && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(open(), 'handles left open by this file').toHaveLength(before.length);
});
