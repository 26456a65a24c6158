/** What a device that just joined has come to: connected, its jobs running, its first result. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { AgentItem, ResultItem } from '../../http/live-messages.ts';
import { plural } from '../format/amount.ts';
import { useApp, useLoaded, useRefresh } from '../hooks.ts';
import { paths } from '../router.ts';
import type { Look } from './look.ts';
import { Mark } from './state-mark.tsx';

const DONE: Look = { shape: 'disc', tone: 'ok', word: 'done' };
const GOING: Look = { shape: 'half', tone: 'info', word: 'under way' };
const TO_COME: Look = { shape: 'dashed', tone: 'quiet', word: 'to come' };

/** Jobs whose datasets are watched for it: a device with more has had a result by then. */
const JOBS_MAX = 5;
const READ_AGAIN_MS = 2000;

export function FirstResult({ agent }: { agent: AgentItem }): JSX.Element {
  const running = agent.jobs.filter(({ phase }) => phase === 'running').length;
  const wanted = agent.jobs.length;
  const result = useFirstResult(agent);
  return (
    <ol class="steps" aria-label={`How far ${agent.name} is`}>
      <Step look={DONE}>Connected</Step>
      <Step look={wanted === 0 ? TO_COME : running === wanted ? DONE : GOING}>
        {wanted === 0 ? (
          <>
            No job is for its labels yet: <code>runnel apply -f job.yaml</code>
          </>
        ) : (
          `${running} of ${plural(wanted, 'job')} running`
        )}
      </Step>
      <Step look={result === null ? (running === 0 ? TO_COME : GOING) : DONE}>
        {result === null ? (
          'First result'
        ) : (
          <>
            First result, of <a href={paths.job(result.job)}>{result.job}</a>
          </>
        )}
      </Step>
    </ol>
  );
}

function Step({ look, children }: { look: Look; children: ComponentChildren }): JSX.Element {
  return (
    <li>
      <Mark {...look} />
      <span class="visually-hidden">{look.word}: </span>
      <span>{children}</span>
    </li>
  );
}

/** Null until there is one. Asked for, since it may have come before anything is followed. */
function useFirstResult(agent: AgentItem): ResultItem | null {
  const app = useApp();
  const [result, setResult] = useState<ResultItem | null>(null);
  const names = agent.jobs.map(({ name }) => name).slice(0, JOBS_MAX);
  const datasets = useLoaded(`datasets/${names.join()}`, async () => {
    const jobs = await Promise.all(names.map((name) => app.api.job(name)));
    return jobs.flatMap((job) => job.datasets);
  });
  const known = datasets.status === 'ready' ? datasets.value : [];
  const newest = useLoaded(`first/${agent.id}/${known.join()}`, async () => {
    const pages = await Promise.all(
      known.map((dataset) => app.api.newestResultOf(dataset, agent.id)),
    );
    return pages.flat();
  });
  useRefresh(newest, READ_AGAIN_MS);
  const first = newest.status === 'ready' ? (newest.value[0] ?? null) : null;
  useEffect(() => setResult((before) => before ?? first), [first]);
  return result;
}
