/**
 * Every operator of stream jobs. An explicit list: importing an operator registers nothing.
 */
import { filter } from './filter.ts';
import type { AnyOperator } from './operator.ts';

export const operators: readonly AnyOperator[] = [filter];
