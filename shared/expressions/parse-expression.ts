/**
 * CEL text to syntax tree, by cel-js; bounded in characters, nodes and depth, so that neither the
 * parser nor what compiles the tree can be made to overflow the stack.
 */
import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { limits } from '../limits.ts';
import { ExpressionSyntaxError } from './expression.ts';

const parser = new Environment({
  unlistedVariablesAreDyn: true,
  limits: { maxAstNodes: limits.expressionNodesMax, maxDepth: 100 },
});

/** Throws `ExpressionSyntaxError`. */
export function parseExpression(source: string): ASTNode {
  if (source.length > limits.expressionCharsMax) {
    throw new ExpressionSyntaxError(
      `the expression has ${source.length} characters; ${limits.expressionCharsMax} are allowed`,
      { start: 0, end: source.length },
    );
  }
  if (source.trim() === '') {
    throw new ExpressionSyntaxError('the expression is empty', { start: 0, end: source.length });
  }
  try {
    return parser.parse(source).ast;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const at = error.range ?? { start: 0, end: source.length };
    throw new ExpressionSyntaxError(wordsFor(error), at, hintFor(error, source, at.start));
  }
}

function wordsFor(error: ParseError): string {
  const summary = error.summary;
  if (summary.startsWith('Exceeded maxAstNodes')) {
    return `the expression has more than ${limits.expressionNodesMax} parts`;
  }
  if (summary.startsWith('Exceeded')) return 'the expression is nested too deeply or too long';
  if (summary.includes('invalid predicate iteration variable')) {
    return `the first argument of ${summary.split('(')[0]}() names the element`;
  }
  if (summary === 'Unexpected token: EOF') return 'the expression ends too early';
  return summary.charAt(0).toLowerCase() + summary.slice(1);
}

/** What people write who come from JavaScript, SQL or Python. */
function hintFor(error: ParseError, source: string, start: number): string | undefined {
  const near = source.slice(Math.max(0, start - 1), start + 2);
  if (near.includes('=') && !near.includes('==')) return 'write == to compare';
  if (near.includes('&') && !near.includes('&&')) return 'write && for "and"';
  if (near.includes('|') && !near.includes('||')) return 'write || for "or"';
  if (/^\s*and\b/i.test(source.slice(start))) return 'write && for "and"';
  if (/^\s*or\b/i.test(source.slice(start))) return 'write || for "or"';
  if (source.includes('`')) return "write texts in ' or \", and odd keys as payload['odd-key']";
  if (error.code === 'unexpected_character') return 'expressions are CEL: https://cel.dev';
  return undefined;
}
