/** Hosts as policy.yaml names them. Of `node:net` only the arithmetic of addresses is used. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** `pattern` is a host name, `*.suffix`, an address, or a subnet `10.0.0.0/8`. */
export function matchesHost(hostname: string, pattern: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const wanted = pattern.toLowerCase();
  if (wanted.startsWith('*.')) return host.endsWith(wanted.slice(1));
  const [network = '', bits] = wanted.split('/');
  if (bits === undefined || isIP(network) === 0) return host === wanted;
  const prefix = Number(bits);
  const isV6 = isIPv6(network);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > (isV6 ? 128 : 32)) return false;
  if (isIP(host) !== (isV6 ? 6 : 4)) return false;
  const subnet = new BlockList();
  subnet.addSubnet(network, prefix, isV6 ? 'ipv6' : 'ipv4');
  return subnet.check(host, isV6 ? 'ipv6' : 'ipv4');
}
