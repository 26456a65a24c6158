/**
 * Texts with places for values of an output: `press/{{key}}/lamp`, `{{value.machine}}`.
 *
 * Checked at submit: only the names below exist. In a topic a value stays one level: `/`, `+`, `#`
 * and NUL in it become `_`, so that no value can steer a message to a topic nobody wrote. The whole
 * topic is judged like one in a document: a value cannot make it one of the broker's own (`$…`),
 * nor one that brokers end the connection over.
 */
import type { Output } from '../engine/record.ts';
import { RunnelError } from '../errors.ts';
import { topicProblem } from './mqtt-topic.ts';
import { suggestion } from '../expressions/suggest.ts';

/** Text, or the path of a value. */
export type TemplatePart = string | { readonly path: readonly string[] };
export type Template = readonly TemplatePart[];

const NAMES = ['key', 'value', 'step', 'job', 'time', 'windowStart', 'windowEnd', 'revision'];
const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g;
const PATH = /^[A-Za-z_]\w*(?:\.[A-Za-z0-9_-]+)*$/;

export function parseTemplate(text: string): Template | { problem: string; hint: string } {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const match of text.matchAll(PLACE)) {
    if (match.index > end) parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const path = (match[1] ?? '').split('.');
    const [root = ''] = path;
    if (!PATH.test(match[1] ?? '') || !NAMES.includes(root)) {
      return {
        problem: `{{${match[1]}}} names no value`,
        hint: suggestion(root, NAMES) ?? 'for example {{key}} or {{value.machine}}',
      };
    }
    if (path.length > 1 && root !== 'value' && root !== 'key') {
      return { problem: `{{${match[1]}}}: ${root} has no fields`, hint: `write {{${root}}}` };
    }
    parts.push({ path });
  }
  const rest = text.slice(end);
  if (rest !== '') parts.push(rest);
  if (parts.some((part) => typeof part === 'string' && /\{\{|\}\}/.test(part))) {
    return { problem: 'has {{ without }}', hint: 'for example press/{{key}}/lamp' };
  }
  return parts;
}

/**
 * The topic for an output. Throws `template_value` (retry never) where a value is missing, null or
 * not a plain one, or the topic is none that may be published to.
 */
export function renderTopic(template: Template, output: Output, job: string): string {
  const topic = template
    .map((part) => (typeof part === 'string' ? part : levelOf(part.path, output, job)))
    .join('');
  const problem = topicProblem(topic);
  if (problem !== undefined) {
    throw new RunnelError('template_value', `topic ${printable(topic)}: ${problem}`);
  }
  return topic;
}

/** For a message: bounded, and with nothing that acts on a terminal. */
function printable(topic: string): string {
  return JSON.stringify(topic.length > 100 ? `${topic.slice(0, 100)}…` : topic);
}

function levelOf(path: readonly string[], output: Output, job: string): string {
  const value = lookUp(path, output, job);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return String(value).replaceAll(/[/+#\0]/g, '_');
  }
  const found = value === undefined ? 'missing' : value === null ? 'null' : 'not a plain value';
  throw new RunnelError('template_value', `{{${path.join('.')}}} is ${found}`);
}

function lookUp(path: readonly string[], output: Output, job: string): unknown {
  const roots: Readonly<Record<string, unknown>> = {
    key: output.key,
    value: output.value,
    step: output.step,
    job,
    time: output.time,
    windowStart: output.windowStart,
    windowEnd: output.windowEnd,
    revision: output.revision,
  };
  let value: unknown = roots;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
      return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}
