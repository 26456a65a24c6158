/** An archive is taken only when the control plane that this device knows has signed it. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyPackageCommand } from '@runnel/agent/cli/verify-package.ts';
import type { Terminal } from '@runnel/agent/cli/terminal.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { SigningAuthority } from '../../support/signing-authority.ts';
import { tempDir } from '../../support/temp-dir.ts';

const terminal: Terminal = {
  out: () => undefined,
  err: () => undefined,
  clock: systemClock,
  random: systemRandom,
  verifyEntry: '',
  env: {},
  onInterrupt: () => () => undefined,
};

const authority = new SigningAuthority();
const archive = 'the bytes of an archive';

function manifestOf(bytes: string, kind = 'runnel-packages'): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const name = 'runnel-agent-1.0.0-linux-x64.tar.xz';
  const file = { name, kind: 'agent', platform: 'linux-x64', compression: 'xz', size: 9, sha256 };
  const installer = { sha256 };
  const described = { version: '1.0.0', node: '24.0.0', installer, files: [file] };
  return JSON.stringify({ v: 1, kind, ...described });
}

async function verify(signed: object, fingerprint = authority.fingerprint): Promise<number> {
  const dir = tempDir('verify');
  writeFileSync(join(dir, 'archive'), archive);
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify(signed));
  const token = `rj1.aaaaaaaaaaaa.${'s'.repeat(40)}.${fingerprint}`;
  const options = { manifest: join(dir, 'manifest.json'), token };
  return await verifyPackageCommand(terminal, join(dir, 'archive'), options);
}

describe('an archive', () => {
  it('of the control plane that the token names is taken', async () => {
    expect(await verify(authority.signedText(manifestOf(archive)))).toBe(0);
  });

  it('that the manifest does not hold is refused', async () => {
    const signed = authority.signedText(manifestOf('other bytes'));
    await expect(verify(signed)).rejects.toMatchObject({ code: 'package_refused' });
  });

  it('of another control plane is refused', async () => {
    const signed = new SigningAuthority().signedText(manifestOf(archive));
    await expect(verify(signed)).rejects.toMatchObject({ code: 'root_mismatch' });
  });

  it('whose manifest was changed after it was signed is refused', async () => {
    const signed = authority.signedText(manifestOf('other bytes'));
    const bent = { ...signed, payload: manifestOf(archive) };
    await expect(verify(bent)).rejects.toMatchObject({ code: 'signature_invalid' });
  });

  it('is not vouched for by another text that the same key signed', async () => {
    const signed = authority.signedText(manifestOf(archive, 'something-else'));
    await expect(verify(signed)).rejects.toMatchObject({ code: 'protocol' });
  });
});
