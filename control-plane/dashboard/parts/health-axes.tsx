/** The health of a device on each axis, in one line: a mark, a word, and for how long. */
import type { JSX } from 'preact';
import { HEALTH_AXES } from '@runnel/shared/health/device-health.ts';
import type { AgentItem } from '../../http/live-messages.ts';
import { Since } from './relative-time.tsx';
import { healthLook, Worded } from './state-mark.tsx';

export function HealthAxes({ agent }: { agent: AgentItem }): JSX.Element {
  return (
    <dl class="axes" aria-label="Health">
      {HEALTH_AXES.map((axis) => {
        const { state, cause, since } = agent.health.axes[axis];
        return (
          <div class={`axis severity-${state}`} key={axis} data-axis={axis} title={cause}>
            <dt>{axis}</dt>
            <dd>
              <Worded look={healthLook(state)} />
              {since === null || state === 'ok' ? null : (
                <span class="axis-since">
                  <Since at={since} />
                </span>
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
