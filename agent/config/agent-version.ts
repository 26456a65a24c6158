/** The release that this agent is, as its package says. */
import { version } from '../package.json';

export const agentVersion: string = version;

export const platform = {
  os: process.platform,
  arch: process.arch,
  node: process.version,
} as const;
