/** One line of the benchmark: what it costs, against what, and what it may cost. */
export interface Line {
  readonly what: string;
  readonly measured: string;
  readonly ratio: string;
  readonly budget: string;
}
