/** Builds agent/checkpoints/verify-store.ts as the agent's build does; once per test process. */
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '../../..');
let built: Promise<string> | undefined;

export function verifyEntry(): Promise<string> {
  built ??= bundle('agent/checkpoints/verify-store.ts', 'verify-store');
  return built;
}

/** It lies under node_modules, so that it finds the native packages; its own per process. */
export async function bundle(file: string, name: string): Promise<string> {
  const output = join(root, `node_modules/.cache/runnel-test/${name}-${process.pid}.mjs`);
  const build = await rolldown({
    cwd: root,
    input: join(root, file),
    platform: 'node',
    // Packages stay packages, native ones among them.
    external: (id) => !/^([./]|@runnel\/)/.test(id),
  });
  await build.write({ file: output, format: 'esm', codeSplitting: false });
  await build.close();
  return output;
}
