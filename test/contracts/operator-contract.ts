/**
 * What every operator must keep to (STYLE.md 7): its documented examples are true, also when the
 * job is killed and restored after every record; unknown keys are refused; its state is plain data
 * that MessagePack brings back equal; nothing stays behind for keys that are over.
 */
import { decode, encode } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import type { AnyOperator, OperatorExample } from '@runnel/shared/engine/operators/operator.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import { compileYaml, feed, jobYaml, notPlain, run, type RunResult } from '../support/engine.ts';

export interface OperatorContract {
  readonly operator: AnyOperator;
  /** Per step of many keys: how many state entries may remain when all is over. */
  readonly bound: { readonly step: string; readonly source?: string; readonly entriesMax: number };
}

export function operatorContract({ operator, bound }: OperatorContract): void {
  describe(`${operator.name} keeps the operator contract`, () => {
    test('it is documented with guarantees and examples', () => {
      expect(operator.summary).toMatch(/\.$/);
      expect(operator.guarantees.length).toBeGreaterThan(0);
      expect(operator.examples.length).toBeGreaterThan(0);
      for (const [key, schema] of Object.entries(operator.shape)) {
        expect(schema.description, `description of ${key}`).toBeTruthy();
      }
    });

    test.each(operator.examples)('the documented example holds: $title', (example) => {
      checkExample(example, runExample(example, false));
    });

    test.each(operator.examples)(
      'killed and restored after every record it gives the same: $title',
      (example) => {
        const whole = runExample(example, false);
        const killed = runExample(example, true);
        expect(killed.lines).toEqual(whole.lines);
        expect(killed.counters).toEqual(whole.counters);
        expect(encode(killed.state.dump())).toEqual(encode(whole.state.dump()));
      },
    );

    test.each(operator.examples)('its state is plain data: $title', (example) => {
      const dump = runExample(example, false, false).state.dump();
      expect(notPlain(dump)).toEqual([]);
      expect(decode(encode(dump))).toEqual(dump);
    });

    test('an unknown key in the step is refused by name', () => {
      const step = `${operator.examples[0]?.step}\nnonsense: 1`;
      const problem = catchDefinition(() => compileYaml(jobYaml(asItem(step))));
      expect(problem.issues.map((issue) => issue.path).join(' ')).toContain('nonsense');
    });

    test('keys that are over leave no more state than is declared', () => {
      const lines = Array.from({ length: 2000 }, (_, index) => ({
        time: index * 1000,
        topic: `t/${index}`,
        payload: { key: `k${index}`, v: index % 2 },
      }));
      const source = bound.source ?? '';
      const result = run(compileYaml(jobYaml(asItem(bound.step), source)), feed('in', lines));
      const entries = result.state
        .dump()
        .filter(([step]) => !step.startsWith('$'))
        .reduce((sum, [, , values]) => sum + values.length, 0);
      expect(entries).toBeLessThanOrEqual(bound.entriesMax);
    });
  });
}

function runExample(example: OperatorExample, kill: boolean, flush = true): RunResult {
  const program = compileYaml(jobYaml(asItem(example.step)));
  return run(program, feed('in', example.input), { killAfter: () => kill, flush });
}

function checkExample(example: OperatorExample, result: RunResult): void {
  const lines = result.lines.map((line) => JSON.parse(line) as unknown);
  expect(lines).toMatchObject(example.output as unknown[]);
  expect(result.letters).toEqual([]);
}

/** A step's YAML as an item of `steps`. */
function asItem(step: string): string {
  return `- ${step.split('\n').join('\n  ')}`;
}

function catchDefinition(body: () => unknown): DefinitionError {
  try {
    body();
  } catch (error) {
    if (error instanceof DefinitionError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
