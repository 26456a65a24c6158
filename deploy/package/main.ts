/**
 * `npm run package`: the archives of the agent, into `.runnel/packages`, where the control plane of
 * `npm start` finds them; any other is given the folder: `runnel-control serve --packages DIR`.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import {
  PACKAGE_COMPRESSIONS,
  PACKAGE_PLATFORMS,
  type PackagePlatform,
} from '@runnel/shared/protocol/packages.ts';
import { version } from '../../agent/package.json';
import { checkBudget, packageAgents } from './package-agents.ts';
import { openReleaseKey } from './release-key.ts';

const PRESET = 6;
const USAGE = `npm run package -- [--platform linux-x64|linux-arm64 …] [--out DIR] [--preset 0-9]

  --platform NAME  only this one; repeatable (default: ${PACKAGE_PLATFORMS.join(' and ')})
  --out DIR        where the archives go (default .runnel/packages)
  --preset N       of xz and gzip: 0 is quick and large, 9 slow and small (default ${PRESET})

RUNNEL_RELEASE_KEY names the file of the Ed25519 key that signs the manifest; without it
.runnel/keys/release.pem, which is made when it is not there.`;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const options = given();
  if (options.help) {
    say(USAGE);
    return 0;
  }
  const root = process.cwd();
  const local = join(root, '.runnel');
  const keyFile = process.env.RUNNEL_RELEASE_KEY ?? join(local, 'keys/release.pem');
  const key = await openReleaseKey(resolve(keyFile));
  say(`packaging runnel-agent ${version}; the first time the runtimes take some minutes …`);
  const made = await packageAgents({
    root,
    version,
    platforms: platformsOf(options.platform),
    compressions: PACKAGE_COMPRESSIONS,
    preset: presetOf(options.preset),
    outDir: resolve(options.out ?? join(local, 'packages')),
    cacheDir: join(local, 'package-cache'),
    key,
    say,
  });
  for (const line of checkBudget(made)) say(line);
  say(`signed with the release key ${key.publicKey}`);
  return 0;
}

function given() {
  try {
    return parseArgs({
      options: {
        platform: { type: 'string', multiple: true },
        out: { type: 'string' },
        preset: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (cause) {
    throw new RunnelError('arguments', `${messageOf(cause)}\n\n${USAGE}`, { cause });
  }
}

function platformsOf(names: readonly string[] | undefined): readonly PackagePlatform[] {
  if (names === undefined) return PACKAGE_PLATFORMS;
  return names.map((name) => {
    const platform = PACKAGE_PLATFORMS.find((known) => known === name);
    if (platform !== undefined) return platform;
    throw new RunnelError(
      'arguments',
      `--platform ${name}: write ${PACKAGE_PLATFORMS.join(' or ')}`,
    );
  });
}

function presetOf(text: string | undefined): number {
  if (text === undefined) return PRESET;
  if (/^[0-9]$/.test(text)) return Number(text);
  throw new RunnelError('arguments', `--preset ${text}: write a digit from 0 to 9`);
}

try {
  process.exitCode = await main();
} catch (error) {
  const hint = error instanceof RunnelError && error.hint !== undefined ? ` (${error.hint})` : '';
  process.stderr.write(`npm run package: ${messageOf(error)}${hint}\n`);
  process.exitCode = error instanceof RunnelError && error.code === 'arguments' ? 2 : 1;
}
