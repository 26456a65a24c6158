/** What uninstalling removes, for each way in which the installer can have installed. */
import { describe, expect, it } from 'vitest';
import type { InstallReceipt } from '@runnel/agent/cli/install-receipt.ts';
import { uninstallPlan } from '@runnel/agent/cli/uninstall-plan.ts';

const system: InstallReceipt = {
  v: 1,
  mode: 'system',
  user: 'runnel',
  madeUser: true,
  prefix: '/opt/runnel/agent',
  config: '/etc/runnel',
  data: '/var/lib/runnel',
  bin: '/usr/local/bin/runnel-agent',
  service: 'systemd',
  unit: '/etc/systemd/system/runnel-agent.service',
  boot: 'systemd',
};

/** One word for each step. */
function words(receipt: InstallReceipt, purge: boolean): string[] {
  return uninstallPlan(receipt, purge).map((step) => {
    if (step.kind === 'run') return step.args.join(' ');
    if (step.kind === 'uncron') return `uncron ${step.line}`;
    return step.kind === 'stop-supervisor' ? 'stop' : `${step.kind} ${step.path}`;
  });
}

describe('uninstalling', () => {
  it('ends the service before anything goes, and its user last', () => {
    const steps = words(system, true);
    expect(steps[0]).toBe('systemctl disable --now runnel-agent.service');
    expect(steps.at(-1)).toBe('userdel runnel');
    expect(steps).toContain('remove /var/lib/runnel');
    expect(steps).toContain('remove /etc/runnel');
  });

  it('keeps data, policy and their user unless it is told otherwise', () => {
    const steps = words(system, false);
    expect(steps).not.toContain('remove /var/lib/runnel');
    expect(steps).not.toContain('remove /etc/runnel');
    expect(steps.some((step) => step.startsWith('userdel'))).toBe(false);
    expect(steps).toContain('remove /opt/runnel/agent');
  });

  it('leaves a user alone that was there before', () => {
    const steps = words({ ...system, madeUser: false }, true);
    expect(steps.some((step) => step.startsWith('userdel'))).toBe(false);
  });

  it.each([
    ['cron.d', ['remove /etc/cron.d/runnel-agent', 'stop']],
    ['crontab', ['uncron @reboot /opt/runnel/agent/start.sh', 'stop']],
    ['none', ['stop']],
  ] as const)('without systemd, started at boot by %s, ends the supervisor', (boot, first) => {
    const steps = words({ ...system, service: 'supervised', boot }, true);
    expect(steps.slice(0, first.length)).toEqual(first);
    expect(steps.join('\n')).not.toContain('systemctl');
  });
});
