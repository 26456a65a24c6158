/**
 * A task that waits is judged: its upstreams by its rule, the branches that decide about it, its
 * list and its condition. It becomes ready, is expanded, skipped, or ends without having run.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { TaskRecord } from '../records.ts';
import { finish, listOf, refreshHead, runErrorOf, succeed } from './attempt-outcome.ts';
import type { RunDraft } from './run-draft.ts';
import { isTeardown, taskAt } from './run-plan.ts';
import { isDone, waitingTask } from './run-snapshot.ts';
import { judge, judgeTeardown, type Verdict } from './trigger-rules.ts';

/** Judges every task that was woken, and those that this wakes, until nothing changes. */
export function settle(draft: RunDraft): void {
  if (draft.run.state !== 'running') return;
  for (let task = draft.nextWoken(); task !== undefined; task = draft.nextWoken()) {
    if (draft.head(task).state === 'waiting') judgeTask(draft, task);
  }
}

function judgeTask(draft: RunDraft, task: number): void {
  const verdict = verdictOf(draft, task);
  if (verdict === 'wait') return;
  if (verdict !== 'run') return endWaiting(draft, task, verdict);
  const { forEach } = taskAt(draft.facts.program, task);
  if (forEach === null) return open(draft, task, null, (record) => draft.scope(record));
  if (draft.head(task).items === null) return expand(draft, task);
  openWaiting(draft, task);
}

/** Ends what has not begun; instances that an earlier try of the run has done keep their state. */
function endWaiting(draft: RunDraft, task: number, state: 'skipped' | 'upstream_failed'): void {
  const group = draft.group(task);
  if (group.length === 1) return finish(draft, task, null, { state });
  for (const instance of group.slice(1)) {
    if (instance.state === 'waiting') finish(draft, task, instance.index, { state });
  }
}

function verdictOf(draft: RunDraft, task: number): Verdict {
  const { plan } = draft;
  const compiled = taskAt(draft.facts.program, task);
  const { definition, needs } = compiled;
  if (isTeardown(compiled)) {
    return judgeTeardown(draft.countsOfAll(needs), draft.countsOfAll(plan.setups[task] ?? []));
  }
  // What always runs starts before any branch can say otherwise.
  if (definition.trigger !== 'always') {
    const branches = (plan.branches[task] ?? []).map((branch) => draft.head(branch));
    if (branches.some(({ state }) => !isDone(state))) return 'wait';
    const left = branches.some(({ chosen }) => chosen !== null && !chosen.includes(definition.id));
    if (left) return 'skipped';
  }
  return judge(definition.trigger, draft.countsOfAll(needs));
}

/** Makes the instances of a `forEach`, once everything that its list is made of is done. */
function expand(draft: RunDraft, task: number): void {
  const { program, now } = draft.facts;
  const { forEach, definition } = taskAt(program, task);
  const sources = (draft.plan.listSources[task] ?? []).map((source) => draft.head(source));
  if (forEach === null || sources.some(({ state }) => !isDone(state))) return;
  const items = listOf(() => forEach.items(draft.scope()), definition.id);
  if (!Array.isArray(items)) {
    // A source that never made its part of the list is the cause, and not the expression.
    const broken = sources.find(({ state }) => state !== 'success' && state !== 'skipped');
    const skipped = sources.find(({ state }) => state === 'skipped');
    if (broken !== undefined) return finish(draft, task, null, { state: 'upstream_failed' });
    if (skipped !== undefined) return finish(draft, task, null, { state: 'skipped' });
    return finish(draft, task, null, { state: 'failed', error: items as TaskRecord['error'] });
  }
  const list = items as readonly Json[];
  if (list.length === 0) return finish(draft, task, null, { state: 'skipped', items: 0 });
  draft.update(task, null, { items: list.length, startedAt: now });
  draft.setInstances(
    task,
    list.map((item, index) => ({ ...waitingTask(draft.run, definition.id), index, item })),
  );
  openWaiting(draft, task);
}

function openWaiting(draft: RunDraft, task: number): void {
  // The scope of all of them is that of before the first: one view of the run for a thousand items.
  const base = draft.scope();
  for (const { index, state } of draft.group(task).slice(1)) {
    if (state !== 'waiting') continue;
    open(draft, task, index, (record) => ({ ...base, item: record.item, index }));
  }
  refreshHead(draft, task);
}

/** The rule of an instance holds: its condition decides. */
function open(
  draft: RunDraft,
  task: number,
  index: number | null,
  scope: (record: TaskRecord) => ReturnType<RunDraft['scope']>,
): void {
  const { spec, when } = taskAt(draft.facts.program, task);
  const { now } = draft.facts;
  if (when !== null) {
    try {
      const holds = when(scope(draft.record(task, index)));
      if (!holds) return finish(draft, task, index, { state: 'skipped' });
    } catch (thrown) {
      return finish(draft, task, index, { state: 'failed', error: runErrorOf(thrown) });
    }
  }
  if (spec !== undefined) {
    return draft.update(task, index, { state: 'ready', readyAt: now, nextAttemptAt: null });
  }
  draft.update(task, index, { startedAt: now });
  succeed(draft, task, index, { output: null, table: null });
}
