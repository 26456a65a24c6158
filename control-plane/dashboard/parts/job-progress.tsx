/** How far a job is across the devices that should run it, as a bar and in words. */
import type { JSX } from 'preact';
import type { JobAgents } from '../../http/live-messages.ts';
import { formatCount } from '../format/amount.ts';
import { Mark } from './state-mark.tsx';

export function JobProgress({ agents }: { agents: JobAgents }): JSX.Element {
  const { desired, running, failed, unknown } = agents;
  if (desired === 0) return <span class="quiet">no device matches</span>;
  const waiting = Math.max(0, desired - running - failed - unknown);
  const others = [
    waiting > 0 ? `${formatCount(waiting)} on the way` : '',
    unknown > 0 ? `${formatCount(unknown)} unknown` : '',
  ].filter(Boolean);
  return (
    <div class="progress">
      <div class="progress-bar" aria-hidden="true">
        <span class="progress-failed" style={{ flexGrow: failed }} />
        <span class="progress-running" style={{ flexGrow: running }} />
        <span class="progress-waiting" style={{ flexGrow: waiting }} />
        <span class="progress-unknown" style={{ flexGrow: unknown }} />
      </div>
      <span class="progress-words">
        {failed === 0 ? null : (
          <span class="state">
            <Mark shape="square" tone="error" />
            {formatCount(failed)} failed
          </span>
        )}
        <span>
          {formatCount(running)} of {formatCount(desired)} running
        </span>
        {others.map((text) => (
          <span class="quiet" key={text}>
            {text}
          </span>
        ))}
      </span>
    </div>
  );
}
