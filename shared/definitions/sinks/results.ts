/**
 * To the control plane, as rows of a dataset.
 */
import { z } from 'zod';
import { NAME } from '../../ids.ts';
import { defineSink } from '../sink-definition.ts';
import type { ConfigOf } from '../source-definition.ts';
import { withHint } from '../strict.ts';

export const resultsSink = defineSink({
  kind: 'results',
  summary: 'Rows of a dataset at the control plane.',
  guarantees: [
    'Each output is stored exactly once, in order, however often device, link or server fail.',
    'While there is no network rows wait in the outbox; beyond its bound the oldest go, counted.',
  ],
  fields: {
    dataset: z
      .string()
      .regex(NAME, {
        error: withHint('is no name', 'small letters, digits and dashes, at most 63'),
      })
      .describe('Dataset that the rows belong to. Example: `bearing-rms`.'),
  },
  examples: [
    { title: 'Windows of a step', yaml: '- { from: rms, results: { dataset: bearing-rms } }' },
  ],
});

export type ResultsSinkConfig = ConfigOf<typeof resultsSink>;
