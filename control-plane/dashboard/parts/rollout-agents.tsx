/** The devices of a rollout, worst first: what each runs, what it should, and why it does not. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { RolloutAgentItem, RolloutDeviceState } from '../../http/rollout-messages.ts';
import { deviceLookOf } from '../jobs/rollout-words.ts';
import { paths } from '../router.ts';
import { EmptyNote } from './panel.tsx';
import { Worded } from './state-mark.tsx';

const ORDER: readonly RolloutDeviceState[] = [
  'failed',
  'updating',
  'pending',
  'unknown',
  'updated',
];
const SHOWN_AT_FIRST = 25;
const SHOWN_MORE = 100;

export function RolloutAgents({
  agents,
  version,
}: {
  agents: readonly RolloutAgentItem[];
  version: number;
}): JSX.Element {
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  if (agents.length === 0) {
    return <EmptyNote>No device matches: the version is in force for those that come.</EmptyNote>;
  }
  const sorted = [...agents].sort(
    (a, b) =>
      ORDER.indexOf(a.state) - ORDER.indexOf(b.state) ||
      (a.batch ?? Infinity) - (b.batch ?? Infinity) ||
      a.name.localeCompare(b.name, 'en', { numeric: true }),
  );
  const rest = sorted.length - shown;
  // When a rollout has ended nobody knows any more who was in which batch.
  const isBatched = agents.some(({ batch }) => batch !== null);
  return (
    <>
      <div class="table-wrap">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Device</th>
              <th scope="col">State</th>
              <th scope="col">Why</th>
              {isBatched ? (
                <th scope="col" class="num">
                  Batch
                </th>
              ) : null}
              <th scope="col" class="num">
                Runs
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, shown).map((agent) => (
              <Row key={agent.agent} {...{ agent, version, isBatched }} />
            ))}
          </tbody>
        </table>
      </div>
      {rest <= 0 ? null : (
        <button type="button" class="button small" onClick={() => setShown(shown + SHOWN_MORE)}>
          Show more ({rest} left)
        </button>
      )}
    </>
  );
}

function Row({
  agent,
  version,
  isBatched,
}: {
  agent: RolloutAgentItem;
  version: number;
  isBatched: boolean;
}): JSX.Element {
  const { desiredVersion } = agent;
  const told = desiredVersion === null || desiredVersion === version ? '' : `, v${desiredVersion}`;
  return (
    <tr>
      <th scope="row">
        <a href={paths.device(agent.agent)}>{agent.name}</a>
      </th>
      <td data-label="State">
        <Worded look={deviceLookOf(agent.state)} />
      </td>
      <td data-label="Why" class={agent.reason === '' ? 'nothing' : 'why'}>
        {agent.reason === '' ? <span class="quiet">–</span> : agent.reason}
      </td>
      {isBatched ? (
        <td data-label="Batch" class="num">
          {agent.batch ?? <span class="quiet">later</span>}
        </td>
      ) : null}
      <td data-label="Runs" class="num" title={told === '' ? undefined : `Is told to run${told}`}>
        {agent.version === null ? '–' : `v${agent.version}`}
      </td>
    </tr>
  );
}
