/** A plan for people. */
import { stringify } from 'yaml';
import type { CheapWindow } from '@runnel/shared/definitions/batch-job.ts';
import { hoursText } from '@runnel/shared/definitions/cheap-window.ts';
import { shareText } from '@runnel/shared/definitions/job-share.ts';
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import { plain } from '../terminal.ts';
import type { BatchPlan, PlannedRun, PlannedTask } from './batch-plan.ts';

const MIB = 1024 * 1024;

export function planText(plan: BatchPlan): string {
  const lines = [
    `job            ${plan.job}${plan.description === '' ? '' : `: ${plain(plan.description)}`}`,
    `at             ${instantText(plan.at, plan.timezone)}`,
    `starts         ${plan.triggers.join('; ') || 'only when somebody asks for it'}`,
  ];
  const [first, ...rest] = plan.nextFireTimes.map((at) => instantText(at, plan.timezone));
  if (first !== undefined) lines.push(`next           ${first}`);
  for (const next of rest) lines.push(`               ${next}`);
  const { share, cheapWindow } = plan.limits;
  if (share !== null) lines.push(`share          ${shareText(share)}`);
  if (cheapWindow !== null) lines.push(`waits for      ${windowText(cheapWindow)}`);
  for (const [index, { name, value, origin }] of plan.parameters.entries()) {
    const head = index === 0 ? 'parameters     ' : '               ';
    lines.push(`${head}${name} = ${JSON.stringify(value)} (${origin})`);
  }
  const missing = plan.capabilities.filter(({ here }) => !here).map(({ name }) => name);
  lines.push(`needs          ${plan.capabilities.map(({ name }) => name).join(', ')}`);
  lines.push(
    missing.length === 0
      ? '               all of it is here'
      : `               not here: ${missing.join(', ')}`,
  );
  return `${lines.join('\n')}\n${plan.runs.map(runText).join('')}`;
}

function windowText({ hours, power, network, waitAtMostMs, otherwise }: CheapWindow): string {
  const conditions = [
    ...(hours === null ? [] : [hoursText(hours)]),
    ...(power === null ? [] : ['mains power']),
    ...(network === null ? [] : ['an unmetered network']),
  ];
  const then = otherwise === 'run' ? 'runs all the same' : 'is left out';
  return `${conditions.join(', ')}; after ${durationText(waitAtMostMs)} it ${then}`;
}

function runText({ key, partition, tasks }: PlannedRun): string {
  const { start, end, timezone } = partition;
  const covers =
    start === end
      ? `stands for ${instantText(start, timezone)}`
      : `covers ${instantText(start, timezone)} to ${instantText(end, timezone)}`;
  return `\nrun ${key}\n  ${covers}\n${tasks.map(taskText).join('')}`;
}

function taskText(task: PlannedTask, index: number): string {
  const lines = [
    `\n  ${index + 1}. ${task.id} (${task.kind === 'none' ? 'no work of its own' : task.kind})`,
  ];
  const add = (name: string, text: string): void =>
    void lines.push(`     ${name.padEnd(9)} ${text}`);
  const rule = task.teardown.length > 0 ? 'all done' : task.trigger;
  if (task.needs.length > 0) add('needs', `${task.needs.join(', ')} (${rule})`);
  else if (task.trigger !== 'all_success') add('trigger', task.trigger);
  if (task.teardown.length > 0) {
    add('teardown', `of ${task.teardown.join(', ')}: runs also after a failure or a cancel`);
  }
  if (task.when !== null) {
    const { expression, value } = task.when;
    add('when', `${plain(expression)} (${value === null ? 'known when it runs' : String(value)})`);
  }
  if (task.branch !== null) add('branch', plain(task.branch));
  if (task.forEach !== null) {
    const { list, items, parallel } = task.forEach;
    const count = items === null ? 'known when it runs' : `${items} items`;
    const together = parallel === null ? '' : `, ${parallel} at a time`;
    const shown = typeof list === 'string' ? list : JSON.stringify(list);
    add('for each', `${plain(shown)} (${count}${together})`);
  }
  if (task.config !== null) {
    lines.push(stringify(task.config, { lineWidth: 0 }).trimEnd().replaceAll(/^/gm, '       '));
  }
  for (const { expression, value } of task.bound) {
    add('bound', `{{ ${plain(expression)} }} = ${JSON.stringify(value)}`);
  }
  if (task.kind !== 'none') {
    add('attempts', attemptsText(task));
    add('cost', costText(task));
  }
  return `${lines.join('\n')}\n`;
}

function attemptsText({ retry, timeoutMs }: PlannedTask): string {
  const { attempts, backoff, on } = retry;
  const classes = Object.entries(on).map(([name, value]) => `${name} ${value.attempts}`);
  const [first, longest] = [durationText(backoff.initialMs), durationText(backoff.maxMs)];
  const pauses =
    attempts === 1 ? '' : `, pauses from ${first} times ${backoff.factor} to ${longest}`;
  const limit = timeoutMs === null ? 'no timeout' : `each at most ${durationText(timeoutMs)}`;
  const by = classes.length === 0 ? '' : ` (${classes.join(', ')})`;
  return `${attempts}${by}${pauses}, ${limit}`;
}

function costText({ cost, pool, slots, priority }: PlannedTask): string {
  const memory = `${Math.round((cost.memoryBytes / MIB) * 10) / 10} MiB`;
  const place = `${slots} ${slots === 1 ? 'slot' : 'slots'} of pool ${pool}`;
  const first = priority === 0 ? '' : `, priority ${priority}`;
  return `${memory}, ${cost.cpu} ${cost.cpu === 1 ? 'core' : 'cores'}, ${place}${first}`;
}

/** `2026-11-23T01:15:00 Europe/Paris (2026-11-23T00:15:00.000Z)`. */
function instantText(ms: number, timezone: string): string {
  const utc = new Date(ms).toISOString();
  if (timezone === 'UTC') return utc;
  const local = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    dateStyle: 'short',
    timeStyle: 'medium',
  }).format(ms);
  return `${local.replace(' ', 'T')} ${timezone} (${utc})`;
}
