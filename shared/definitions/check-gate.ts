/** The SLAs that the gate of a rollout names are among those of the job. */
import type { DefinitionIssue } from '../errors.ts';
import { suggestion } from '../expressions/suggest.ts';
import type { Rollout } from './rollout.ts';
import type { Sla } from './sla.ts';
import { issueAt } from './strict.ts';

interface Gated {
  readonly rollout?: Rollout | undefined;
  readonly sla: readonly Sla[];
}

export function checkGate({ rollout, sla }: Gated, issues: DefinitionIssue[]): void {
  const asked = rollout?.gate.sla ?? [];
  const path = ['rollout', 'gate', 'sla'];
  const none = 'give it some under `sla`, or leave the gate without';
  if (asked === 'all') {
    if (sla.length === 0) issues.push(issueAt(path, 'asks for SLAs, and the job has none', none));
    return;
  }
  const names = sla.map(({ name }) => name);
  for (const [index, name] of asked.entries()) {
    if (names.includes(name)) continue;
    const message = `no SLA of the job is named "${name}"`;
    issues.push(issueAt([...path, index], message, suggestion(name, names) ?? none));
  }
}
