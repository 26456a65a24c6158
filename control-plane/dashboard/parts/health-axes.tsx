/** The health of a device on each axis, in one line: a mark, a word, and for how long. */
import type { JSX } from 'preact';
import type { AgentItem } from '../../http/live-messages.ts';
import { healthAxes } from '../fleet/health-axes.ts';
import { Since } from './relative-time.tsx';
import { severityLook, Worded } from './state-mark.tsx';

export function HealthAxes({ agent }: { agent: AgentItem }): JSX.Element {
  return (
    <dl class="axes" aria-label="Health">
      {healthAxes(agent).map(({ axis, severity, cause, since }) => (
        <div class={`axis severity-${severity}`} key={axis} data-axis={axis} title={cause}>
          <dt>{axis}</dt>
          <dd>
            <Worded look={severityLook(severity)} />
            {since === null || severity === 'ok' ? null : (
              <span class="axis-since">
                <Since at={since} />
              </span>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}
