/**
 * What a device allows jobs, as its heartbeats carry it: the parts of policy.yaml that decide about
 * jobs, and what they are relative to. Never a secret: names of variables and paths of files, not
 * what is in them. The device's own judgement stands whatever is reported.
 */
import { z } from 'zod';
import { commandEntry } from '../policy/command-policy.ts';
import type { DeviceRules } from '../policy/device-rules.ts';
import { versionField } from './version.ts';

const texts = z.array(z.string());

const policyReport = z.object({
  v: versionField,
  /** Absolute. */
  dataDir: z.string(),
  /** Where the data directory and `policy.paths` lead over links, as far as it is elsewhere. */
  linked: texts,
  /** Those of agent.yaml. */
  pools: texts,
  policy: z.object({
    sources: texts.optional(),
    sinks: texts.optional(),
    tasks: texts.optional(),
    commands: z.array(commandEntry),
    commandEnv: texts,
    paths: texts,
    hosts: texts.optional(),
    env: texts,
    budgets: z.object({ taskMemory: z.number().optional() }),
  }),
});
export type PolicyReport = z.infer<typeof policyReport>;

/**
 * The rules that a device reported; paths are judged as they are written. Undefined for a text that
 * this release cannot read (a newer format): then the device alone judges.
 */
export function reportedRules(text: string): DeviceRules | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const parsed = policyReport.safeParse(value);
  if (!parsed.success) return undefined;
  const { dataDir, linked, pools, policy } = parsed.data;
  const allowed = [...policy.paths, ...linked];
  return { policy, pools, paths: { dataDir, allowed, realPath: (path) => path } };
}
