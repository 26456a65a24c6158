/**
 * Which source of the journal a job means by a name: its own, else that of a stream job on this
 * device, else what `job/name` says. Two sources with one name are not guessed between.
 */
import type { SourceDefinition } from '@runnel/shared/definitions/sources/registry.ts';
import { nearest } from '@runnel/shared/expressions/suggest.ts';
import { TaskError } from '../tasks/task-error.ts';

/** A source that a job of this device declares. */
export interface DeclaredSource {
  readonly job: string;
  /** Name of the source in the journal's blocks: kind and fingerprint of its connector. */
  readonly connector: string;
  readonly definition: SourceDefinition;
  /** Effective parameters of that job: what its `time:` may use. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** All sources of all jobs of the device, batch jobs included. */
export type SourcesOfDevice = () => Iterable<DeclaredSource>;

/** Throws `TaskError` (`definition`): `source_unknown`, `source_ambiguous`. */
export function findSource(name: string, job: string, all: SourcesOfDevice): DeclaredSource {
  const slash = name.indexOf('/');
  const [owner, alias] = slash < 0 ? [null, name] : [name.slice(0, slash), name.slice(slash + 1)];
  const named = [...all()].filter(({ definition }) => definition.alias === alias);
  if (owner === null) {
    const own = named.find((source) => source.job === job);
    if (own !== undefined) return own;
  }
  const found = owner === null ? named : named.filter((source) => source.job === owner);
  const distinct = new Map(found.map((source) => [readingOf(source), source]));
  const [first, second] = distinct.values();
  if (first !== undefined && second === undefined) return first;
  if (first === undefined) throw unknownSource(name, all);
  const choices = found.map((source) => `${source.job}/${alias}`).toSorted();
  throw new TaskError(
    'definition',
    'source_ambiguous',
    `several jobs have a source "${name}", and it is not the same one`,
    { hint: `Say which: ${choices.join(', ')}.`, fields: { choices } },
  );
}

/** Sources with the same reading give the same rows. */
function readingOf({ connector, definition, parameters }: DeclaredSource): string {
  const { time, codec } = definition;
  const values = time !== null && /\bparams\b/.test(time) ? parameters : {};
  return JSON.stringify([connector, time, codec, values]);
}

function unknownSource(name: string, all: SourcesOfDevice): TaskError {
  const names = [...new Set([...all()].map(({ definition }) => definition.alias))].toSorted();
  const near = nearest(name, names);
  const known = names.length === 0 ? 'No job here has a source.' : `Known: ${names.join(', ')}.`;
  return new TaskError(
    'definition',
    'source_unknown',
    `no job on this device has a source "${name}"`,
    { hint: near === undefined ? known : `Did you mean "${near}"? ${known}` },
  );
}
