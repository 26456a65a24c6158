/** The fields that run now and backfill share: devices, parameters, and what devices answered. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { JobAgentItem } from '../../http/live-messages.ts';
import type { AgentAnswer } from '../api/runs-api.ts';
import { plural } from '../format/amount.ts';
import { paths } from '../router.ts';
import type { ParameterDeclaration } from '../runs/batch-document.ts';
import { type ParameterTexts, placeholderOf } from '../runs/parameter-input.ts';
import { connectionLook, Mark } from './state-mark.tsx';

const SHOWN_MAX = 200;
const SEARCH_FROM = 12;

/** Devices that can be asked: the job is placed there. */
export function askable(agents: readonly JobAgentItem[]): readonly JobAgentItem[] {
  return agents.filter(({ desiredVersion, notPlaced }) => {
    return desiredVersion !== null && notPlaced === null;
  });
}

export function DeviceChoice({
  agents,
  chosen,
  onChosen,
}: {
  agents: readonly JobAgentItem[];
  chosen: ReadonlySet<string>;
  onChosen: (chosen: ReadonlySet<string>) => void;
}): JSX.Element {
  const [search, setSearch] = useState('');
  const found = agents.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()));
  const set = (ids: readonly string[], on: boolean): void => {
    const next = new Set(chosen);
    for (const id of ids) {
      if (on) next.add(id);
      else next.delete(id);
    }
    onChosen(next);
  };
  return (
    <fieldset class="choice">
      <legend>
        Devices{' '}
        <span class="quiet">
          {chosen.size} of {agents.length} chosen
        </span>
      </legend>
      {agents.length < SEARCH_FROM ? null : (
        <div class="field-row">
          <input
            type="search"
            placeholder="Search devices"
            aria-label="Search devices"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
          <button
            type="button"
            class="button small"
            onClick={() =>
              set(
                found.map(({ agent }) => agent),
                true,
              )
            }
          >
            Choose all found
          </button>
        </div>
      )}
      {agents.length === 0 ? <p class="help">The job is placed on no device.</p> : null}
      <ul>
        {found.slice(0, SHOWN_MAX).map((agent) => (
          <li key={agent.agent}>
            <DeviceBox
              agent={agent}
              checked={chosen.has(agent.agent)}
              onChecked={(on) => set([agent.agent], on)}
            />
          </li>
        ))}
      </ul>
      {found.length > SHOWN_MAX ? (
        <p class="help">and {plural(found.length - SHOWN_MAX, 'more device')}: search for them</p>
      ) : null}
    </fieldset>
  );
}

function DeviceBox({
  agent,
  checked,
  onChecked,
}: {
  agent: JobAgentItem;
  checked: boolean;
  onChecked: (on: boolean) => void;
}): JSX.Element {
  return (
    <label>
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onChecked(event.currentTarget.checked)}
      />
      <span>{agent.name}</span>
      {agent.connection === 'online' ? null : (
        <span class="state quiet">
          <Mark {...connectionLook('approved', agent.connection)} />
          {agent.connection}
        </span>
      )}
    </label>
  );
}

export function ParameterFields({
  declared,
  texts,
  problems,
  onTexts,
}: {
  declared: readonly ParameterDeclaration[];
  texts: ParameterTexts;
  problems: Readonly<Record<string, string>>;
  onTexts: (texts: ParameterTexts) => void;
}): JSX.Element | null {
  if (declared.length === 0) return null;
  return (
    <fieldset class="choice">
      <legend>
        Parameters <span class="quiet">empty: as the device has it</span>
      </legend>
      {declared.map((parameter) => (
        <ParameterField
          key={parameter.name}
          parameter={parameter}
          text={texts[parameter.name] ?? ''}
          problem={problems[parameter.name]}
          onText={(text) => onTexts({ ...texts, [parameter.name]: text })}
        />
      ))}
    </fieldset>
  );
}

/** One of them, as its type is written; empty: not given. */
export function ParameterField({
  parameter,
  text,
  problem,
  onText,
}: {
  parameter: ParameterDeclaration;
  text: string;
  problem: string | undefined;
  onText: (text: string) => void;
}): JSX.Element {
  const { name, type, description } = parameter;
  const choices = type === 'boolean' ? [true, false] : parameter.values;
  return (
    <label class="field">
      <span>
        <span class="mono">{name}</span> <span class="quiet">{type}</span>
      </span>
      {choices === null ? (
        <input
          value={text}
          inputMode={type === 'number' ? 'decimal' : 'text'}
          placeholder={placeholderOf(parameter)}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={problem !== undefined}
          onInput={(event) => onText(event.currentTarget.value)}
        />
      ) : (
        <select
          value={text}
          aria-invalid={problem !== undefined}
          onChange={(event) => onText(event.currentTarget.value)}
        >
          <option value="">{placeholderOf(parameter)}</option>
          {choices.map((choice) => (
            <option key={JSON.stringify(choice)} value={JSON.stringify(choice)}>
              {typeof choice === 'string' ? choice : JSON.stringify(choice)}
            </option>
          ))}
        </select>
      )}
      {problem === undefined ? null : <span class="help wrong">{problem}</span>}
      {description === null ? null : <span class="help">{description}</span>}
    </label>
  );
}

const ANSWER_MARKS = {
  accepted: { shape: 'disc', tone: 'ok' },
  timeout: { shape: 'triangle', tone: 'warning' },
  unreachable: { shape: 'triangle', tone: 'warning' },
  refused: { shape: 'square', tone: 'error' },
} as const;

/** What each device said: the runs that it made, or why there is none. */
export function AgentAnswers({ answers }: { answers: readonly AgentAnswer[] }): JSX.Element {
  return (
    <ul class="answers" role="status">
      {answers.map((answer) => (
        <li key={answer.agent}>
          <span class="state">
            <Mark {...ANSWER_MARKS[answer.status]} />
            {answer.name}
          </span>
          <AnswerText answer={answer} />
        </li>
      ))}
    </ul>
  );
}

const RUNS_SHOWN = 5;

function AnswerText({ answer }: { answer: AgentAnswer }): JSX.Element {
  const { status, reason, runs, partitions } = answer;
  if (status !== 'accepted') {
    return (
      <span class="answer-text">
        {status}: {reason ?? 'no reason given'}
      </span>
    );
  }
  const rest = Math.max(runs.length, partitions.length) - RUNS_SHOWN;
  return (
    <span class="answer-text">
      {runs.slice(0, RUNS_SHOWN).map(({ run, partition }) => (
        <a key={run} class="mono" href={paths.run(run, answer.agent)}>
          {partition}
        </a>
      ))}
      {runs.length === 0 && partitions.length === 0 ? 'nothing to run' : null}
      {runs.length === 0 && partitions.length > 0 ? plural(partitions.length, 'run') : null}
      {rest > 0 && runs.length > 0 ? <span class="quiet">and {rest} more</span> : null}
    </span>
  );
}
