/**
 * What running costs here and now: does the device live on its battery, and does its network cost
 * by the byte? As Linux tells it in /sys and /proc; where it tells nothing, the device is plugged
 * in (most have no battery) and has no network.
 *
 * What people write in agent.yaml (`power`, `link.metered`) is not asked of the system: a Wi-Fi
 * that is a phone's, or a supply that no driver knows, only they can tell. Readings are a few small
 * files, so they are read at once, and kept for `KEPT_MS`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Surroundings } from '../batch/dag/cheap-window.ts';

const KEPT_MS = 10_000;

export interface SurroundingsOptions {
  readonly clock: Clock;
  readonly power?: Surroundings['power'] | undefined;
  readonly metered?: boolean | undefined;
  /** Where /sys and /proc are; a test's own directory. */
  readonly root?: string;
}

export function surroundingsReader(options: SurroundingsOptions): () => Surroundings {
  const { clock, power, metered, root = '/' } = options;
  let kept: Surroundings | undefined;
  let readAtMs = 0;
  return () => {
    const nowMs = clock.monotonicMs();
    if (kept === undefined || nowMs - readAtMs >= KEPT_MS) {
      kept = { power: power ?? powerOf(root), network: networkOf(root, metered) };
      readAtMs = nowMs;
    }
    return kept;
  };
}

/** https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-power */
function powerOf(root: string): Surroundings['power'] {
  const dir = join(root, 'sys/class/power_supply');
  const supplies = namesIn(dir)
    .map((name) => (file: string) => textOf(join(dir, name, file)))
    // The battery of a mouse is none of the device's.
    .filter((read) => read('scope') !== 'Device');
  const chargers = supplies.filter((read) => /^(Mains|USB|Wireless)/.test(read('type')));
  if (chargers.some((read) => Number(read('online')) > 0)) return 'mains';
  const batteries = supplies.filter((read) => /^(Battery|UPS)$/.test(read('type')));
  if (batteries.some((read) => read('status') === 'Discharging')) return 'battery';
  return chargers.length > 0 && batteries.length > 0 ? 'battery' : 'mains';
}

function networkOf(root: string, metered: boolean | undefined): Surroundings['network'] {
  const device = defaultRoute(root);
  if (device === undefined) return 'none';
  return (metered ?? isMetered(root, device)) ? 'metered' : 'unmetered';
}

/** Interface of the default route that is used first. */
function defaultRoute(root: string): string | undefined {
  const routes = [...routesOf4(root), ...routesOf6(root)];
  return routes.toSorted((a, b) => a.metric - b.metric)[0]?.device;
}

interface Route {
  readonly device: string;
  readonly metric: number;
}

const ROUTE_IS_UP = 0x1;
const ROUTE_REFUSES = 0x200;

function leads(flags: string): boolean {
  const bits = Number.parseInt(flags, 16);
  return (bits & ROUTE_IS_UP) !== 0 && (bits & ROUTE_REFUSES) === 0;
}

/** Columns: interface, destination, gateway, flags (hex), …, metric, mask. */
function routesOf4(root: string): Route[] {
  return linesOf(join(root, 'proc/net/route')).flatMap((columns) => {
    const [device = '', destination, , flags = '0', , , metric = '0', mask] = columns;
    const isDefault = destination === '00000000' && mask === '00000000';
    return isDefault && leads(flags) ? [{ device, metric: Number(metric) }] : [];
  });
}

/** Columns: destination, its prefix, source, its prefix, next hop, metric, …, flags, interface. */
function routesOf6(root: string): Route[] {
  return linesOf(join(root, 'proc/net/ipv6_route')).flatMap((columns) => {
    const [destination = '', prefix, , , , metric = '0', , , flags = '0', device = 'lo'] = columns;
    const isDefault = /^0{32}$/.test(destination) && prefix === '00' && device !== 'lo';
    return isDefault && leads(flags) ? [{ device, metric: Number.parseInt(metric, 16) }] : [];
  });
}

/** ARPHRD_PPP and ARPHRD_NONE: a dialled link, a tunnel. What is under them nobody can see. */
const OPAQUE_TYPES: ReadonlySet<string> = new Set(['512', '65534']);
/** A phone or a modem on USB that looks like a cable. */
const TETHER_DRIVERS: ReadonlySet<string> = new Set(['rndis_host', 'ipheth', 'cdc_mbim']);

/** Where it cannot be told it costs: who knows better says so in agent.yaml. */
function isMetered(root: string, device: string): boolean {
  const dir = join(root, 'sys/class/net', device);
  return (
    /^DEVTYPE=wwan$/m.test(textOf(join(dir, 'uevent'))) ||
    OPAQUE_TYPES.has(textOf(join(dir, 'type'))) ||
    TETHER_DRIVERS.has(driverOf(dir)) ||
    /^(wwan|wwp|ppp|rmnet|ccmni)/.test(device)
  );
}

function driverOf(dir: string): string {
  const [, driver = ''] = /^DRIVER=(.+)$/m.exec(textOf(join(dir, 'device/uevent'))) ?? [];
  return driver;
}

function linesOf(path: string): string[][] {
  return textOf(path)
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}

/** Empty where this system does not have it. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
