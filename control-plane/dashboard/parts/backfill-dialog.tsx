/** Runs a job for a range of days. First it shows what would run, by a dry run on the devices. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import type { AgentAnswer, BackfillRequest } from '../api/runs-api.ts';
import { plural } from '../format/amount.ts';
import { useApp } from '../hooks.ts';
import { readBatchDocument } from '../runs/batch-document.ts';
import { dayAt, dayRange } from '../runs/date-range.ts';
import { type ParameterTexts, readParameters } from '../runs/parameter-input.ts';
import { FormDialog } from './form-dialog.tsx';
import { AgentAnswers, askable, DeviceChoice, ParameterFields } from './run-fields.tsx';

type Which = BackfillRequest['which'];
type Order = BackfillRequest['order'];

interface Plan {
  readonly request: BackfillRequest;
  readonly answers: readonly AgentAnswer[];
}

const ACTIVE_MAX = 100;

export function BackfillDialog({
  job,
  onClose,
}: {
  job: JobDetail;
  onClose: () => void;
}): JSX.Element {
  const app = useApp();
  const agents = askable(job.agents);
  const document = readBatchDocument(job.document);
  const timezone = document.partition?.timezone ?? 'UTC';
  const only = agents.length === 1 ? agents.map(({ agent }) => agent) : [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(only));
  const [form, setForm] = useState(() => lastWeek(app.now.value, timezone));
  const [texts, setTexts] = useState<ParameterTexts>({});
  const [plan, setPlan] = useState<Plan | null>(null);
  const [answers, setAnswers] = useState<readonly AgentAnswer[] | null>(null);
  const { values, problems } = readParameters(document.parameters, texts);
  const range = dayRange(form.first, form.last, timezone);
  const { which, order, maxActive } = form;
  const step = async (): Promise<void> => {
    if (plan !== null) {
      setAnswers(await app.api.runs.backfill({ ...plan.request, dryRun: false }));
      return;
    }
    if (range === null) return;
    const targets = { job: job.name, agents: [...chosen], parameters: values };
    const request = { ...targets, ...range, which, order, maxActive, dryRun: true };
    setPlan({ request, answers: await app.api.runs.backfill(request) });
  };
  const count = plan?.answers.reduce((sum, { partitions }) => sum + partitions.length, 0) ?? 0;
  const ready =
    plan === null
      ? chosen.size > 0 && range !== null && Object.keys(problems).length === 0
      : count > 0;
  return (
    <FormDialog
      title={`Backfill ${job.name}`}
      submit={answers === null ? submitText(plan, count) : null}
      ready={ready}
      onSubmit={step}
      onClose={onClose}
    >
      {plan === null ? (
        <>
          <DeviceChoice agents={agents} chosen={chosen} onChosen={setChosen} />
          <RangeFields form={form} timezone={timezone} wrong={range === null} onForm={setForm} />
          <ParameterFields
            declared={document.parameters}
            texts={texts}
            problems={problems}
            onTexts={setTexts}
          />
        </>
      ) : (
        <PlanView plan={plan} answers={answers} onBack={() => setPlan(null)} />
      )}
    </FormDialog>
  );
}

function submitText(plan: Plan | null, count: number): string {
  return plan === null ? 'Show what would run' : `Start ${plural(count, 'run')}`;
}

interface RangeForm {
  readonly first: string;
  readonly last: string;
  readonly which: Which;
  readonly order: Order;
  readonly maxActive: number;
}

function lastWeek(now: number, timezone: string): RangeForm {
  const [first, last] = [dayAt(now, timezone, -7), dayAt(now, timezone, -1)];
  return { first, last, which: 'none', order: 'oldest', maxActive: 1 };
}

function RangeFields({
  form,
  timezone,
  wrong,
  onForm,
}: {
  form: RangeForm;
  timezone: string;
  wrong: boolean;
  onForm: (form: RangeForm) => void;
}): JSX.Element {
  return (
    <>
      <div class="field-row">
        <label class="field">
          First day
          <input
            type="date"
            value={form.first}
            onInput={(event) => onForm({ ...form, first: event.currentTarget.value })}
          />
        </label>
        <label class="field">
          Last day
          <input
            type="date"
            value={form.last}
            aria-invalid={wrong}
            onInput={(event) => onForm({ ...form, last: event.currentTarget.value })}
          />
        </label>
      </div>
      <p class={wrong ? 'help wrong' : 'help'}>
        {wrong
          ? 'The last day is before the first.'
          : `Partitions that begin on these days, ${timezone}.`}
      </p>
      <ChoiceFields form={form} onForm={onForm} />
    </>
  );
}

function ChoiceFields({
  form,
  onForm,
}: {
  form: RangeForm;
  onForm: (form: RangeForm) => void;
}): JSX.Element {
  return (
    <div class="field-row">
      <label class="field">
        Which
        <select
          value={form.which}
          onChange={(event) => onForm({ ...form, which: event.currentTarget.value as Which })}
        >
          <option value="none">without a run</option>
          <option value="failed">without a run, or failed</option>
          <option value="all">all, again</option>
        </select>
      </label>
      <label class="field">
        Order
        <select
          value={form.order}
          onChange={(event) => onForm({ ...form, order: event.currentTarget.value as Order })}
        >
          <option value="oldest">oldest first</option>
          <option value="newest">newest first</option>
        </select>
      </label>
      <label class="field">
        At the same time
        <input
          type="number"
          min={1}
          max={ACTIVE_MAX}
          value={form.maxActive}
          onInput={(event) => {
            const value = Math.round(event.currentTarget.valueAsNumber);
            if (value >= 1 && value <= ACTIVE_MAX) onForm({ ...form, maxActive: value });
          }}
        />
      </label>
    </div>
  );
}

const PARTITIONS_SHOWN = 200;

function PlanView({
  plan,
  answers,
  onBack,
}: {
  plan: Plan;
  answers: readonly AgentAnswer[] | null;
  onBack: () => void;
}): JSX.Element {
  if (answers !== null) return <AgentAnswers answers={answers} />;
  return (
    <>
      <p>Nothing runs yet. This is what would, in this order:</p>
      <AgentAnswers answers={plan.answers} />
      {plan.answers
        .filter(({ partitions }) => partitions.length > 0)
        .map(({ agent, name, partitions }) => (
          <details key={agent} open={plan.answers.length === 1}>
            <summary>
              {name}: {plural(partitions.length, 'partition')}
            </summary>
            <p class="partitions mono">
              {partitions.slice(0, PARTITIONS_SHOWN).join('  ')}
              {partitions.length > PARTITIONS_SHOWN ? '  …' : ''}
            </p>
          </details>
        ))}
      <button type="button" class="link" onClick={onBack}>
        Change the range
      </button>
    </>
  );
}
