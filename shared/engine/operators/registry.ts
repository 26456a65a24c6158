/**
 * Every operator of stream jobs. An explicit list: importing an operator registers nothing.
 */
import { alert } from './alert.ts';
import { filter } from './filter.ts';
import { map } from './map.ts';
import type { AnyOperator } from './operator.ts';
import { window } from './window.ts';

export const operators: readonly AnyOperator[] = [filter, map, window, alert];
