/**
 * Where the rows of a task go beside the tasks behind it: a dataset, results, a file.
 */
import { z } from 'zod';
import { columnField, datasetField } from './rows-input.ts';
import { strict } from './strict.ts';

export const tableOutputField = strict({
  dataset: datasetField
    .optional()
    .describe("Dataset whose partition, the run's, they become. Example: `hourly-rms`."),
  deliver: z
    .boolean()
    .default(false)
    .describe('With `dataset`: whether the rows go to the control plane too.'),
  results: datasetField
    .optional()
    .describe('Dataset at the control plane that they are sent to. Example: `bearing-rms`.'),
  key: columnField
    .optional()
    .describe('With `results`: column that is the key of a row. Example: `machine`.'),
  jsonl: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('File of JSON lines, replaced whole. Example: `out/{{ partition.date }}.jsonl`.'),
}).superRefine((output, context) => {
  const given = [output.dataset, output.results, output.jsonl].filter((to) => to !== undefined);
  if (given.length !== 1) context.addIssue('needs exactly one of dataset, results, jsonl');
  if (output.deliver && output.dataset === undefined) {
    context.addIssue({ code: 'custom', path: ['deliver'], message: 'goes with dataset' });
  }
  if (output.key !== undefined && output.results === undefined) {
    context.addIssue({ code: 'custom', path: ['key'], message: 'goes with results' });
  }
});

export type TableOutput = z.output<typeof tableOutputField>;
