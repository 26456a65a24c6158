import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { surroundingsReader } from '@runnel/agent/resources/surroundings.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { ManualClock } from '../streams/manual-clock.ts';

type Files = Readonly<Record<string, string>>;

/** /sys and /proc of a device, as its kernel would show them. */
function device(files: Files): string {
  const root = tempDir('device');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

function supply(name: string, fields: Files): Files {
  const dir = `sys/class/power_supply/${name}`;
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [`${dir}/${field}`, value]),
  );
}

function powerOf(files: Files): string {
  return surroundingsReader({ clock: new ManualClock(0), root: device(files) })().power;
}

describe('a device lives on', () => {
  const battery = (status: string): Files => supply('BAT0', { type: 'Battery', status });
  const charger = (online: string): Files => supply('AC', { type: 'Mains', online });

  it.each<[string, string, Files]>([
    ['mains', 'without any supply that it knows', {}],
    ['mains', 'with a charger that is in', { ...charger('1'), ...battery('Charging') }],
    ['battery', 'with one that is out', { ...charger('0'), ...battery('Discharging') }],
    ['battery', 'with one that is out and a full battery', { ...charger('0'), ...battery('Full') }],
    ['battery', 'with a battery alone that empties', battery('Discharging')],
    ['mains', 'with a battery alone that is charged', battery('Charging')],
    ['mains', 'with USB power', supply('usb', { type: 'USB_PD', online: '1' })],
    [
      'mains',
      'though its mouse does on a battery',
      supply('mouse', { type: 'Battery', status: 'Discharging', scope: 'Device' }),
    ],
  ])('%s %s', (expected, _why, files) => {
    expect(powerOf(files)).toBe(expected);
  });

  it('what agent.yaml says', () => {
    const root = device({});
    const read = surroundingsReader({ clock: new ManualClock(0), power: 'battery', root });
    expect(read().power).toBe('battery');
  });
});

const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT';
const route = (name: string, metric: number, flags = '0003'): string =>
  `${name}\t00000000\t0102A8C0\t${flags}\t0\t0\t${metric}\t00000000\t0\t0\t0`;
const near = (name: string): string =>
  `${name}\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0`;
const routes = (...lines: string[]): Files => ({ 'proc/net/route': [HEAD, ...lines].join('\n') });
const zeros = '0'.repeat(32);
const route6 = (name: string, metric: string, flags: string): Files => ({
  'proc/net/ipv6_route':
    `${zeros} 00 ${zeros} 00 fe80${'0'.repeat(27)}1 ` +
    `${metric} 00000001 00000000 ${flags} ${name}`,
});

describe('the network is', () => {
  it.each<[string, string, Files]>([
    ['none', 'without a default route', routes(near('eth0'))],
    ['none', 'with one that is down', routes(route('eth0', 100, '0002'))],
    ['none', 'on a system that tells nothing', {}],
    ['unmetered', 'by a cable', routes(near('eth0'), route('eth0', 100))],
    ['unmetered', 'by Wi-Fi', routes(route('wlan0', 600))],
    ['metered', 'by a modem, as its name tells', routes(route('wwan0', 700))],
    [
      'metered',
      'by a modem, as its driver tells',
      { ...routes(route('usb0', 700)), 'sys/class/net/usb0/uevent': 'DEVTYPE=wwan\nIFINDEX=4' },
    ],
    [
      'unmetered',
      'with a modem that stands behind the cable',
      routes(route('wwan0', 700), route('eth0', 100)),
    ],
    ['metered', 'with version 6 alone, by a modem', route6('wwan0', '00000400', '00000003')],
    ['none', 'with the route of version 6 that refuses', route6('lo', 'ffffffff', '00200200')],
    ['none', 'with one by a cable that refuses', route6('eth0', '00000400', '00000203')],
    [
      'metered',
      'by a phone on USB',
      { ...routes(route('usb0', 100)), 'sys/class/net/usb0/device/uevent': 'DRIVER=rndis_host' },
    ],
    [
      'metered',
      'by a tunnel, of which nobody sees what is under it',
      { ...routes(route('wg0', 0)), 'sys/class/net/wg0/type': '65534' },
    ],
  ])('%s %s', (expected, _why, files) => {
    const read = surroundingsReader({ clock: new ManualClock(0), root: device(files) });
    expect(read().network).toBe(expected);
  });

  it('metered or not as agent.yaml says, if it is there', () => {
    const clock = new ManualClock(0);
    const cable = device(routes(route('eth0', 100)));
    const modem = device(routes(route('wwan0', 100)));
    expect(surroundingsReader({ clock, metered: true, root: cable })().network).toBe('metered');
    expect(surroundingsReader({ clock, metered: false, root: modem })().network).toBe('unmetered');
    expect(surroundingsReader({ clock, metered: false, root: device({}) })().network).toBe('none');
  });
});

it('a reading is kept for ten seconds, and then taken anew', () => {
  const clock = new ManualClock(0);
  const root = device(supply('AC', { type: 'Mains', online: '1' }));
  const battery = 'sys/class/power_supply/BAT0';
  const read = surroundingsReader({ clock, root });
  expect(read().power).toBe('mains');
  writeFileSync(join(root, 'sys/class/power_supply/AC/online'), '0');
  mkdirSync(join(root, battery));
  writeFileSync(join(root, battery, 'type'), 'Battery');
  expect(read().power).toBe('mains');
  clock.pass(10_000);
  expect(read().power).toBe('battery');
});
