/** `runnel-agent describe`: what jobs may use on this agent. */
import { sinks } from '@runnel/shared/definitions/sinks/registry.ts';
import { sources } from '@runnel/shared/definitions/sources/registry.ts';
import { operators } from '@runnel/shared/engine/operators/registry.ts';
import { agentVersion } from '../config/agent-version.ts';
import { agentCapabilities } from '../config/capabilities.ts';
import { optionalPackages } from '../config/optional-packages.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function describeCommand(terminal: Terminal, output: 'text' | 'json'): ExitCode {
  const description = {
    version: agentVersion,
    capabilities: agentCapabilities(optionalPackages),
    sources: sources.map(({ kind, summary }) => ({ name: kind, summary })),
    operators: operators.map(({ name, summary }) => ({ name, summary })),
    sinks: sinks.map(({ kind, summary }) => ({ name: kind, summary })),
  };
  if (output === 'json') {
    terminal.out(`${JSON.stringify(description, null, 2)}\n`);
    return exitCodes.ok;
  }
  const rows = (['sources', 'operators', 'sinks'] as const).flatMap((part) =>
    description[part].map(({ name, summary }) => [part.slice(0, -1), name, summary]),
  );
  terminal.out(`runnel-agent ${agentVersion}\n\n${table(['PART', 'NAME', 'WHAT IT DOES'], rows)}`);
  return exitCodes.ok;
}
