/** The compiler against a naive tree walk, on expressions and records that nobody thought of. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileExpression } from '@runnel/shared/expressions/compile-expression.ts';
import { ExpressionError, ExpressionSyntaxError } from '@runnel/shared/expressions/expression.ts';
import { Failure, textOf, type Tree, walk } from './oracle.ts';
import { subject } from './subject.ts';

const FIELDS = ['a', 'b', 'c', 'flag', 'items', 'text', 'constructor', 'length'];
const BINARY = ['+', '-', '*', '/', '%', '==', '!=', '<', '<=', '>', '>=', '&&', '||', 'in'];

const leaf: fc.Arbitrary<Tree> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(...FIELDS).map((name): Tree => ({ kind: 'field', name })),
  },
  {
    weight: 2,
    arbitrary: fc
      .oneof(
        fc.integer({ min: -5, max: 5 }),
        fc.constantFrom(0.5, 1e300, 'x', 'y', '', true, false, null),
      )
      .map((value): Tree => ({ kind: 'literal', value })),
  },
);

const { tree } = fc.letrec<{ tree: Tree; element: Tree }>((tie) => {
  const grow = (child: fc.Arbitrary<Tree>, body: fc.Arbitrary<Tree>): fc.Arbitrary<Tree> =>
    fc.oneof(
      fc
        .tuple(fc.constantFrom(...BINARY), child, child)
        .map(([op, left, right]): Tree => ({ kind: 'binary', op, left, right })),
      fc
        .tuple(child, child, child)
        .map(([condition, yes, no]): Tree => ({ kind: 'if', condition, yes, no })),
      fc.tuple(fc.constantFrom('not', 'negate'), child).map(([kind, of]): Tree => ({ kind, of })),
      fc
        .constantFrom(...FIELDS)
        .map((name): Tree => ({ kind: 'has', of: { kind: 'field', name } })),
      fc.array(child, { maxLength: 3 }).map((items): Tree => ({ kind: 'list', items })),
      fc
        .tuple(
          fc.constantFrom('all', 'exists', 'exists_one', 'map', 'filter'),
          fc.constant<Tree>({ kind: 'field', name: 'items' }),
          body,
        )
        .map(([name, list, inner]): Tree => ({ kind: 'macro', name, list, body: inner })),
    );
  return {
    tree: fc.oneof({ maxDepth: 4 }, leaf, grow(tie('tree'), tie('element'))),
    element: fc.oneof(
      { maxDepth: 2 },
      fc.constant<Tree>({ kind: 'element' }),
      grow(fc.oneof(leaf, fc.constant<Tree>({ kind: 'element' })), leaf),
    ),
  };
});

const scalar = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom('x', 'y', true, false, null),
);
const payload = fc.dictionary(
  fc.constantFrom(...FIELDS),
  fc.oneof(scalar, fc.array(scalar, { maxLength: 4 })),
);

type Outcome = { readonly value: unknown } | { readonly reason: string };

function outcome(run: () => unknown): Outcome {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof Failure || error instanceof ExpressionError) {
      return { reason: error.reason };
    }
    throw error;
  }
}

/** What the type check refuses never gets as far as a record. */
function compiled(source: string) {
  try {
    return compileExpression(source, { shape: { kind: 'record' } });
  } catch (error) {
    if (error instanceof ExpressionSyntaxError) return undefined;
    throw error;
  }
}

test('every expression gives what a naive tree walk gives, value or reason', () => {
  let compared = 0;
  fc.assert(
    fc.property(tree, fc.array(payload, { minLength: 1, maxLength: 3 }), (root, payloads) => {
      const expression = compiled(textOf(root));
      if (expression === undefined) return;
      for (const each of payloads) {
        const own = JSON.parse(JSON.stringify(each)) as Record<string, unknown>;
        const wanted = outcome(() => walk(root, own));
        const found = outcome(() => expression.evaluate(subject(own)));
        expect(found, `${textOf(root)} on ${JSON.stringify(own)}`).toEqual(wanted);
        compared += 1;
      }
    }),
    { numRuns: 4000 },
  );
  expect(compared, 'most expressions pass the type check').toBeGreaterThan(2000);
});

test('what the type check refuses could not have given a value', () => {
  fc.assert(
    fc.property(tree, payload, (root, record) => {
      if (compiled(textOf(root)) !== undefined) return;
      const evaluatedEverywhere = forced(root);
      if (!evaluatedEverywhere) return;
      expect(
        outcome(() => walk(root, record)),
        textOf(root),
      ).toHaveProperty('reason');
    }),
    { numRuns: 2000 },
  );
});

/** Without branches, macros and absorption every part is evaluated. */
function forced(root: Tree): boolean {
  switch (root.kind) {
    case 'if':
    case 'macro':
      return false;
    case 'binary':
      return !['&&', '||'].includes(root.op) && forced(root.left) && forced(root.right);
    case 'list':
      return root.items.every(forced);
    case 'not':
    case 'negate':
    case 'has':
      return forced(root.of);
    case 'literal':
    case 'field':
    case 'element':
      return true;
  }
}
