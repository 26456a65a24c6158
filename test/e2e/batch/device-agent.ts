/**
 * The agent of the crash runs, composed from the real parts. `RUNNEL_PLANT` names one bug that is
 * planted behind a seam: the audit must see each of them. Without it nothing is planted.
 */
import { runAgent } from '@runnel/agent/main.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { plants } from './plants.ts';

const options = process.argv.slice(2);
const dataDir = options[options.indexOf('--data') + 1] as string;
const bug = process.env.RUNNEL_PLANT ?? '';
const seams = bug === '' ? {} : plants[bug];
if (seams === undefined) throw new Error(`no bug named ${bug}`);
await runAgent({
  dataDir,
  clock: systemClock,
  random: systemRandom,
  verifyEntry: process.env.RUNNEL_VERIFY_ENTRY as string,
  seams: {
    ...seams,
    batch: { ...seams.batch, childEntry: process.env.RUNNEL_CHILD_ENTRY as string },
  },
});
