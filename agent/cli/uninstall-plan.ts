/**
 * What `runnel-agent uninstall` does, step by step, as data: from the installer's receipt alone, so
 * that nothing is removed which it did not put there. The service ends first, its programs go last.
 */
import { dirname, join } from 'node:path';
import type { InstallReceipt } from './install-receipt.ts';

export type UninstallStep =
  /** A program and its arguments; `optional` may fail without harm. */
  | { readonly kind: 'run'; readonly args: readonly string[]; readonly optional: boolean }
  /** Ends the supervisor, known by its pid file, and waits for it. */
  | { readonly kind: 'stop-supervisor'; readonly pidFile: string }
  /** Takes our line out of the user's crontab. */
  | { readonly kind: 'uncron'; readonly line: string }
  | { readonly kind: 'remove'; readonly path: string }
  /** A folder that others may use too: it goes when it is empty. */
  | { readonly kind: 'remove-empty'; readonly path: string };

export function uninstallPlan(receipt: InstallReceipt, purge: boolean): readonly UninstallStep[] {
  const { mode, prefix, config, data, bin } = receipt;
  const remove = (path: string): UninstallStep => ({ kind: 'remove', path });
  const removeEmpty = (path: string): UninstallStep => ({ kind: 'remove-empty', path });
  return [
    ...serviceSteps(receipt),
    ...(purge ? [remove(data), remove(config)] : [remove(join(data, '.supervise'))]),
    remove(bin),
    remove(prefix),
    // `/opt/runnel` and `~/.local/share/runnel` are ours, and go with the last of what they held.
    removeEmpty(dirname(prefix)),
    ...(mode === 'user' ? homeFolders(receipt).map(removeEmpty) : []),
    ...(purge && receipt.madeUser && mode === 'system' ? userSteps(receipt) : []),
  ];
}

function serviceSteps(receipt: InstallReceipt): readonly UninstallStep[] {
  const { service, unit, boot, prefix, data } = receipt;
  const run = (...args: string[]): UninstallStep => ({ kind: 'run', args, optional: true });
  if (service === 'supervised') {
    const pidFile = join(data, '.supervise/supervise.pid');
    const stop: UninstallStep = { kind: 'stop-supervisor', pidFile };
    if (boot === 'cron.d') return [{ kind: 'remove', path: '/etc/cron.d/runnel-agent' }, stop];
    const line = `@reboot ${join(prefix, 'start.sh')}`;
    return boot === 'crontab' ? [{ kind: 'uncron', line }, stop] : [stop];
  }
  const systemctl = service === 'systemd' ? ['systemctl'] : ['systemctl', '--user'];
  const name = 'runnel-agent.service';
  const wanted = join(dirname(unit), 'multi-user.target.wants', name);
  return [
    run(...systemctl, 'disable', '--now', name),
    { kind: 'remove', path: unit },
    // Where systemd does not run, as in an image, `disable` did nothing.
    { kind: 'remove', path: wanted },
    run(...systemctl, 'daemon-reload'),
    run(...systemctl, 'reset-failed', name),
  ];
}

/** Those that the installer may have made in a home directory that did not have them. */
function homeFolders({ prefix, config, bin, unit }: InstallReceipt): readonly string[] {
  const share = dirname(dirname(prefix));
  return [
    dirname(bin),
    share,
    dirname(share),
    dirname(unit),
    dirname(dirname(unit)),
    dirname(config),
  ];
}

function userSteps({ user }: InstallReceipt): readonly UninstallStep[] {
  return [{ kind: 'run', args: ['userdel', user], optional: false }];
}
