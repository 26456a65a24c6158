/**
 * Conditions: health per axis, Kubernetes-like, worst wins (DESIGN.md §11). Never one enum.
 */
import { z } from 'zod';

export const AXES = [
  'connection',
  'resources',
  'jobs',
  'rollout',
  'storage',
  'sources',
  'security',
] as const;
export const SEVERITIES = ['ok', 'info', 'warning', 'error'] as const;

export const condition = z.object({
  /** `storage`, `jobs/bearing-health`, `sources/press`, …: unique on an agent. */
  type: z.string().max(200),
  axis: z.enum(AXES),
  severity: z.enum(SEVERITIES),
  /** One CamelCase word for programs: `Full`, `Recovered`, `CannotConnect`. */
  reason: z.string().max(100),
  /** One sentence for people, with the cause. */
  message: z.string().max(2000),
  /** Epoch milliseconds at which it took this severity and reason. */
  since: z.number(),
});
export type Condition = z.infer<typeof condition>;
