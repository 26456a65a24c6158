/** The facts of a run: what it covers, its times, its parameters and where each came from. */
import type { ComponentChildren, JSX } from 'preact';
import type { RunDetail } from '../../http/run-messages.ts';
import { formatCell } from '../format/amount.ts';
import { formatTimestamp } from '../format/time.ts';
import { EmptyNote, Panel } from './panel.tsx';

export function RunFacts({ run }: { run: RunDetail }): JSX.Element {
  const instant = run.partitionStart === run.partitionEnd;
  const parameters = Object.entries(run.parameters);
  return (
    <>
      <Panel title="Run">
        <dl class="facts">
          <Fact name="Id">
            <span class="mono">{run.run}</span>
          </Fact>
          <Fact name="Covers">
            {instant
              ? formatTimestamp(run.partitionStart)
              : `${formatTimestamp(run.partitionStart)} – ${formatTimestamp(run.partitionEnd)}`}
          </Fact>
          <Fact name="Stands for">{formatTimestamp(run.at)}</Fact>
          <Fact name="Queued">{formatTimestamp(run.queuedAt)}</Fact>
          <Fact name="Started">
            {run.startedAt === null ? '–' : formatTimestamp(run.startedAt)}
          </Fact>
          <Fact name="Ended">{run.endedAt === null ? '–' : formatTimestamp(run.endedAt)}</Fact>
          <Fact name="Try">{run.tries}</Fact>
        </dl>
      </Panel>
      <Panel title="Parameters">
        {parameters.length === 0 ? <EmptyNote>The job has none.</EmptyNote> : null}
        <dl class="facts">
          {parameters.map(([name, value]) => (
            <Fact key={name} name={name}>
              <span class="mono">{formatCell(value)}</span>
              <span class="sub">{originWords(run.origins[name])}</span>
            </Fact>
          ))}
        </dl>
      </Panel>
    </>
  );
}

function originWords(origin: string | undefined): string {
  if (origin === undefined) return 'origin not told';
  return origin === 'default' ? "the job's default" : `set by ${origin}`;
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
