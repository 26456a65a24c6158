/** What the command that adds a device says about where it works. */

/** Whether its control plane has a loopback address, which no other machine can reach. */
export function isForThisMachine(command: string): boolean {
  const url = / --url (\S+)/.exec(command)?.[1] ?? '';
  if (!URL.canParse(url)) return false;
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}
