/**
 * The health of a device in a row of the list: a mark for each axis, in the order of the head. What
 * is well is a point, so that what is not stands out; each says its cause, and all are one sentence
 * for those who do not see them.
 */
import type { JSX } from 'preact';
import { HEALTH_AXES } from '@runnel/shared/health/device-health.ts';
import type { AgentItem } from '../../http/live-messages.ts';
import { healthLook, Mark } from './state-mark.tsx';

export function HealthHead(): JSX.Element {
  return (
    <span role="columnheader" class="head-health">
      <span class="visually-hidden">Health: {HEALTH_AXES.join(', ')}</span>
      {HEALTH_AXES.map((axis) => (
        <abbr key={axis} title={axis} aria-hidden="true">
          {axis.slice(0, 3)}
        </abbr>
      ))}
    </span>
  );
}

/** Drawn in grey: colour is kept for what needs a person. */
const WELL = { shape: 'point', tone: 'quiet' } as const;

export function HealthCell({ agent }: { agent: AgentItem }): JSX.Element {
  const { axes } = agent.health;
  const ill = HEALTH_AXES.filter((axis) => axes[axis].state !== 'ok');
  const words = ill.map((axis) => `${axis} ${healthLook(axes[axis].state).word.toLowerCase()}`);
  return (
    <span class="cell-health" role="cell">
      <span class="visually-hidden">
        {words.length === 0 ? 'every axis is well' : words.join(', ')}
      </span>
      {HEALTH_AXES.map((axis) => {
        const { state, cause } = axes[axis];
        const { shape, tone, word } = healthLook(state);
        return (
          <span
            class={`health-axis health-${state}`}
            key={axis}
            data-axis={axis}
            data-state={state}
            title={`${axis}: ${state === 'ok' ? 'well' : cause || word}`}
            aria-hidden="true"
          >
            <Mark {...(state === 'ok' ? WELL : { shape, tone })} />
            <span class="axis-word">{axis}</span>
          </span>
        );
      })}
    </span>
  );
}
