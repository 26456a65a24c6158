/** Whether a batch could be over, by what reached the control plane. */
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { Audit, Given, RolloutAudit } from './audit.ts';

type Said = 'runs' | 'failed' | 'tookTooLong' | 'nothing';

export function checkAdvance(audit: Audit, rollout: RolloutAudit, over: number, now: number): void {
  const { strategy, devices, version, approvals, batch } = rollout;
  const { approval, minHealthy, onFailure, deviceTimeoutMs } = strategy;
  if (approval === 'manual') {
    if (batch > approvals) audit.find(now, `batch ${batch + 1} was not approved`);
    // Between the end of a batch and the approval of the next one devices come and go.
    return;
  }
  const counts = { runs: 0, failed: 0, spoke: 0, inBatch: 0 };
  for (const [agent, { batch: of }] of devices) {
    if (of > over) continue;
    const given = rollout.forward.get(agent);
    const beat = audit.freshBeat(agent, now);
    if (of === over) counts.inBatch += 1;
    if (given === undefined) {
      if (beat !== null) audit.find(now, `${agent} is there and was left out of its batch`);
      continue;
    }
    // One that had the version before was heard to run it before, too.
    const heard = audit.beatSince(agent, given.moved ? given.at : 0);
    const said = saidBy(heard, given, { version, deviceTimeoutMs, now });
    if (said === 'nothing' && beat !== null) {
      audit.find(now, `batch ${over + 1} is over while ${agent} is on its way`);
    }
    if (said !== 'nothing' && of === over) counts.spoke += 1;
    if (said === 'runs') counts.runs += 1;
    if (said === 'failed' && beat !== null) counts.failed += 1;
  }
  const { runs, failed, spoke, inBatch } = counts;
  if (inBatch > 0 && spoke === 0) audit.find(now, `silence opened the gate of batch ${over + 1}`);
  if (onFailure === 'continue' || rollout.wasResumed) return;
  if (runs < minHealthy * (runs + failed)) {
    audit.find(now, `${failed} of ${runs + failed} had failed, and the gate opened`);
  }
}

function saidBy(
  heard: Heartbeat | null,
  given: Given,
  by: { readonly version: number; readonly deviceTimeoutMs: number | null; readonly now: number },
): Said {
  const job = heard?.jobs[0];
  if (job?.attempted?.version === by.version) return 'failed';
  if (job?.version === by.version) return 'runs';
  const tookLong = by.deviceTimeoutMs !== null && by.now - given.at > by.deviceTimeoutMs;
  return heard !== null && tookLong ? 'tookTooLong' : 'nothing';
}
