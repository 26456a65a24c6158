/**
 * Archives of the agent for tests: whole and real, only compressed quickly. What npm gives and the
 * compressed runtimes are kept under `.runnel`, where `npm run package` keeps them too.
 */
import { join } from 'node:path';
import type { PackagePlatform } from '@runnel/shared/protocol/packages.ts';
import { packageAgents, type PackageOptions } from '../../deploy/package/package-agents.ts';
import { openReleaseKey } from '../../deploy/package/release-key.ts';
import { repository } from './processes.ts';

export async function makePackages(
  outDir: string,
  more: Partial<PackageOptions> & { readonly platforms: readonly PackagePlatform[] },
) {
  return await packageAgents({
    root: repository,
    version: '0.1.0',
    kinds: ['agent'],
    compressions: ['xz'],
    preset: 0,
    outDir,
    cacheDir: join(repository, '.runnel/package-cache'),
    key: await openReleaseKey(join(outDir, '../release.pem')),
    say: () => undefined,
    ...more,
  });
}
