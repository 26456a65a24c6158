/** What a person at a terminal is asked before anything is removed, and what each answer does. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bins } from '../../support/processes.ts';
import { describeWith } from '../../support/programs.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

/** As the installer leaves it in a home directory, without anything that runs. */
function installed() {
  const home = tempDir('installed');
  const at = (path: string): string => join(home, path);
  const receipt = {
    ...{ v: 1, mode: 'user', user: 'somebody', madeUser: false },
    prefix: at('.local/share/runnel/agent'),
    config: at('.config/runnel'),
    data: at('.local/state/runnel'),
    bin: at('.local/bin/runnel-agent'),
    ...{ service: 'supervised', unit: at('.config/systemd/user/runnel-agent.service') },
    boot: 'none',
  };
  for (const dir of [receipt.prefix, receipt.config, receipt.data, at('.local/bin')]) {
    mkdirSync(dir, { recursive: true });
  }
  writeFileSync(join(receipt.data, 'identity'), 'x');
  writeFileSync(receipt.bin, '#!/bin/sh');
  const file = at('receipt.json');
  writeFileSync(file, JSON.stringify(receipt));
  return { file, receipt };
}

/** On a terminal of its own, which util-linux makes; `keys` are pressed when it has asked. */
async function uninstall(file: string, keys: string, args: readonly string[] = []) {
  const command = [process.execPath, bins.agent, 'uninstall', ...args].join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, RUNNEL_INSTALL: file, TERM: 'dumb' },
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  let code: number | null = null;
  child.once('exit', (status) => (code = status ?? -1));
  await waitFor('the question', () => code !== null || said.includes('[y/N]'), 20_000);
  child.stdin.write(keys);
  await waitFor('its end', () => code !== null, 20_000);
  return { code, said };
}

describeWith(['script'], 'who uninstalls at a terminal', () => {
  it.each<[string, string, { readonly agent: boolean; readonly data: boolean; code: number }]>([
    ['yes to both, typed ahead', 'y\ny\n', { agent: false, data: false, code: 0 }],
    ['yes, and keeps the data', 'y\nn\n', { agent: false, data: true, code: 0 }],
    ['yes, and nothing, which keeps the data', 'yes\n\n', { agent: false, data: true, code: 0 }],
    ['no', 'n\n', { agent: true, data: true, code: 1 }],
    ['nothing, which is no', '\n', { agent: true, data: true, code: 1 }],
    ['Ctrl-C', '\x03', { agent: true, data: true, code: 1 }],
    ['Ctrl-D', '\x04', { agent: true, data: true, code: 1 }],
    ['yes, and Ctrl-C at the data', 'y\n\x03', { agent: true, data: true, code: 1 }],
  ])('says %s', async (_says, keys, left) => {
    const { file, receipt } = installed();
    const { code, said } = await uninstall(file, keys);
    expect(said).toContain(`Remove the agent in ${receipt.prefix}?`);
    expect({
      agent: existsSync(receipt.prefix),
      data: existsSync(join(receipt.data, 'identity')),
      code,
    }).toEqual(left);
    if (left.agent) expect(said).toContain('nothing was removed');
    expect(said).not.toMatch(/Aborted|readline|Warning/);
  });

  it('and said of the data by an option is asked once', async () => {
    const { file, receipt } = installed();
    const { code, said } = await uninstall(file, 'y\n', ['--purge']);
    expect(said).not.toContain('Delete its data');
    expect([code, existsSync(receipt.data)]).toEqual([0, false]);
  });
});
