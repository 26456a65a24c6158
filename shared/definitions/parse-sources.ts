/**
 * The sources of a job's document, the same for stream and batch jobs.
 */
import { z } from 'zod';
import { type DefinitionIssue, RunnelError } from '../errors.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import { contentHash } from './canonical-json.ts';
import { type ParameterDefinition, sampleParameters } from './parameters.ts';
import type { Path } from './path.ts';
import { parseConfig, pickKind } from './pick-kind.ts';
import { commonSourceFields } from './source-definition.ts';
import { type SourceDefinition, sources } from './sources/registry.ts';
import { LATE, name } from './stream-job.ts';
import { issueAt, parseAt, strict } from './strict.ts';

const commonSourceSchema = strict(commonSourceFields);

const SOURCES_MAX = 32;

export function aliasesOf(input: unknown): string[] {
  return typeof input === 'object' && input !== null ? Object.keys(input) : [];
}

export function parseSources(
  input: unknown,
  issues: DefinitionIssue[],
): Readonly<Record<string, SourceDefinition>> {
  const record = parseAt(z.record(z.string(), z.unknown()), input, ['sources'], issues) ?? {};
  const aliases = Object.keys(record);
  if (input !== undefined && (aliases.length === 0 || aliases.length > SOURCES_MAX)) {
    issues.push(issueAt(['sources'], `needs from 1 to ${SOURCES_MAX} sources`));
  }
  const parsed: Record<string, SourceDefinition> = {};
  for (const alias of aliases) {
    const path = ['sources', alias];
    parseAt(name, alias, path, issues);
    if (alias === LATE) issues.push(issueAt(path, '"late" names the late records'));
    const source = parseSource(alias, record[alias], path, issues);
    if (source !== undefined) parsed[alias] = source;
  }
  return parsed;
}

function parseSource(
  alias: string,
  raw: unknown,
  path: Path,
  issues: DefinitionIssue[],
): SourceDefinition | undefined {
  const record = parseAt(z.record(z.string(), z.unknown()), raw, path, issues);
  if (record === undefined) return undefined;
  const known = Object.keys(commonSourceFields);
  const picked = pickKind(record, sources, known, { path, what: 'source' }, issues);
  if (picked === undefined) return undefined;
  const common = parseAt(commonSourceSchema, picked.rest, path, issues);
  const config = parseConfig(picked.spec, picked.config, [...path, picked.spec.kind], issues);
  if (common === undefined || config === undefined) return undefined;
  const { kind } = picked.spec;
  const definition = {
    ...common,
    alias,
    time: common.time ?? null,
    idleTimeout: common.idleTimeout ?? null,
    identity: common.identity ?? null,
    connectorFingerprint: contentHash({ kind, config }).slice(0, 32),
    kind,
    config,
  };
  return definition as SourceDefinition;
}

/** `time:` and `identity:` see the record, like every expression before an aggregation. */
export function checkSourceExpressions(
  parsed: Readonly<Record<string, SourceDefinition>>,
  parameters: Readonly<Record<string, ParameterDefinition>>,
  issues: DefinitionIssue[],
): void {
  const options = { shape: { kind: 'record' }, parameters: sampleParameters(parameters) } as const;
  for (const [alias, source] of Object.entries(parsed)) {
    for (const field of ['time', 'identity'] as const) {
      const text = source[field];
      if (text === null) continue;
      try {
        compileExpression(text, options);
      } catch (error) {
        if (!(error instanceof RunnelError)) throw error;
        issues.push(issueAt(['sources', alias, field], error.message, error.hint));
      }
    }
  }
}
