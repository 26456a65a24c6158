/**
 * Where the records of files stand in the journal: each alias becomes a source of a job on the
 * device. What the job under test declares is its own; any other alias is added to it, with the
 * arrival as the event time; `job/alias` is a source of a stream job made up for it.
 */
import { assert } from '@runnel/shared/errors.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import type { SourceDefinition } from '@runnel/shared/definitions/sources/registry.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';

export interface JournalSources {
  /** The document of the job, with the sources that others have on a device. */
  readonly document: Json;
  /** Stream jobs made up for `job/alias`. */
  readonly others: readonly DesiredJob[];
  /** One of the aliases. */
  of(alias: string): JournalSource;
}

export interface JournalSource {
  /** Name in the journal's blocks. */
  readonly connector: string;
  readonly codec: SourceDefinition['codec'];
}

type Document = Readonly<Record<string, Json>>;

/** `aliases`: those of files and those that the job reads. */
export function journalSources(document: Json, aliases: readonly string[]): JournalSources {
  const own = new Set<string>();
  const others = new Map<string, Set<string>>();
  for (const alias of aliases) {
    const slash = alias.indexOf('/');
    if (slash < 0) own.add(alias);
    else {
      const job = alias.slice(0, slash);
      others.set(job, (others.get(job) ?? new Set()).add(alias.slice(slash + 1)));
    }
  }
  const connectors = new Map<string, JournalSource>();
  const completed = withSources(document as Document, own, '');
  note(connectors, '', parseJobDocument(completed).sources);
  const jobs = [...others].map(([name, names]): DesiredJob => {
    const stream = withSources(streamJob(name), names, `${name}/`);
    note(connectors, `${name}/`, parseJobDocument(stream).sources);
    return desiredJob(name, stream);
  });
  return {
    document: completed,
    others: jobs,
    of(alias) {
      const source = connectors.get(alias);
      assert(source !== undefined, `"${alias}" is no source here`);
      return source;
    },
  };
}

export function desiredJob(name: string, document: Json): DesiredJob {
  return {
    name,
    version: 1,
    hash: JSON.stringify(document),
    document,
    parameters: {},
    paused: false,
  };
}

function withSources(document: Document, names: ReadonlySet<string>, prefix: string): Document {
  const declared = (document.sources ?? {}) as Document;
  const missing = [...names].filter((name) => !Object.hasOwn(declared, name));
  if (missing.length === 0) return document;
  const made = missing.map((name) => [name, { mqtt: { topic: `dry-run/${prefix}${name}` } }]);
  return { ...document, sources: { ...declared, ...Object.fromEntries(made) } };
}

function streamJob(name: string): Document {
  return {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name },
    steps: [{ filter: 'false' }],
  };
}

function note(
  connectors: Map<string, JournalSource>,
  prefix: string,
  sources: Readonly<Record<string, SourceDefinition>>,
): void {
  for (const [alias, { kind, connectorFingerprint, codec }] of Object.entries(sources)) {
    const connector = `${kind}-${connectorFingerprint}`;
    connectors.set(`${prefix}${alias}`, { connector, codec });
  }
}
