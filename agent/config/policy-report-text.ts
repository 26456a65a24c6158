import { resolve } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import type { PolicyReport } from '@runnel/shared/protocol/policy-report.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import { realPath } from './real-path.ts';

/**
 * What heartbeats tell of the device's policy; undefined when it is too large for them. Read once:
 * policy.yaml takes effect at a start.
 */
export function policyReportText(
  policy: AgentPolicy,
  dataDir: string,
  pools: readonly string[],
): string | undefined {
  const { apiVersion: _version, kind: _kind, budgets, ...rules } = policy;
  const { taskMemory } = budgets;
  const absolute = resolve(dataDir);
  const roots = [absolute, ...policy.paths.map((path) => resolve(absolute, path))];
  const report: PolicyReport = {
    v: PROTOCOL_VERSION,
    dataDir: absolute,
    linked: roots.map(linkedPath).filter((path, index) => path !== roots[index]),
    pools: [...pools],
    policy: { ...rules, budgets: taskMemory === undefined ? {} : { taskMemory } },
  };
  const text = JSON.stringify(report);
  return Buffer.byteLength(text) > limits.policyReportBytesMax ? undefined : text;
}

/** A path that cannot be followed (too many links, no permission) is told as it is written. */
function linkedPath(path: string): string {
  try {
    return realPath(path);
  } catch {
    // Whoever uses it hears of it: every judgement of a path below it fails with the cause.
    return path;
  }
}
