/** Where a job runs. */
import { z } from 'zod';
import { parseSelector } from './selector.ts';
import { strict, withHint } from './strict.ts';

export const selectorText = z.string().superRefine((text, context) => {
  const parsed = parseSelector(text);
  if ('problem' in parsed) {
    context.addIssue({ code: 'custom', message: withHint(parsed.problem, parsed.hint) });
  }
});

export const placementField = strict({
  selector: selectorText.describe(
    'Labels that an agent must have. Terms, joined by commas or `and`, all of which must hold: ' +
      '`role=press`, `role!=press`, `site in (lyon, turin)`, `site notin (lyon)`, `gateway`, ' +
      '`!gateway`. Built in: `name`, `id`, `arch`, `os`, `agentVersion`, and `capability/NAME` ' +
      'for what the agent can do, as `capability/sql` or `!capability/task/command`. ' +
      'Example: `site in (lyon, turin), role=press`.',
  ),
}).describe('Which agents run the job. Default: all of them.');
export type Placement = z.output<typeof placementField>;
