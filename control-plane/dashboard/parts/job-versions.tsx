/** The versions of a job: what changed between any two, and the text of the one in force. */
import type { JSX } from 'preact';
import type { JobDetail } from '../../http/live-messages.ts';
import type { VersionItem } from '../api/api-items.ts';
import { useApp, useLoaded, useObservable } from '../hooks.ts';
import { type Compared, comparedVersions, writeCompared } from '../jobs/compared-versions.ts';
import { address, replaceQuery } from '../navigation.ts';
import { CopyButton } from './copy-button.tsx';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { Ago } from './relative-time.tsx';
import { TextDiff } from './text-diff.tsx';

export function JobVersions({ job }: { job: JobDetail }): JSX.Element {
  const app = useApp();
  const versions = useLoaded(`versions/${job.name}/${job.version}`, () =>
    app.api.jobVersions(job.name),
  );
  return (
    <div class="columns">
      <div class="column-main">
        {versions.status === 'ready' ? (
          <Comparison job={job.name} versions={newestFirst(versions.value)} />
        ) : null}
        <Definition job={job} />
      </div>
      <div class="column-side">
        <Panel title="Versions">
          {versions.status === 'loading' ? <Loading what="versions" /> : null}
          {versions.status === 'failed' ? (
            <ErrorNote error={versions.error} retry={versions.reload} />
          ) : null}
          {versions.status === 'ready' ? (
            <VersionList versions={newestFirst(versions.value)} current={job.version} />
          ) : null}
        </Panel>
      </div>
    </div>
  );
}

function newestFirst(versions: readonly VersionItem[]): VersionItem[] {
  return [...versions].sort((a, b) => b.version - a.version);
}

function Comparison({
  job,
  versions,
}: {
  job: string;
  versions: readonly VersionItem[];
}): JSX.Element {
  const { query } = useObservable(address);
  const known = versions.map(({ version }) => version);
  const compared = comparedVersions(query, known);
  if (compared === null) {
    return (
      <Panel title="Changes">
        <EmptyNote>There is one version: nothing to compare it with yet.</EmptyNote>
      </Panel>
    );
  }
  const choose = (part: Partial<Compared>): void =>
    replaceQuery(writeCompared({ ...compared, ...part }));
  return (
    <Panel title="Changes">
      <div class="filters">
        <VersionSelect
          label="From"
          known={known}
          value={compared.from}
          onChange={(from) => choose({ from })}
        />
        <VersionSelect
          label="To"
          known={known}
          value={compared.to}
          onChange={(to) => choose({ to })}
        />
      </div>
      <Difference job={job} compared={compared} />
    </Panel>
  );
}

function VersionSelect({
  label,
  known,
  value,
  onChange,
}: {
  label: string;
  known: readonly number[];
  value: number;
  onChange: (version: number) => void;
}): JSX.Element {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(Number(event.currentTarget.value))}>
        {known.map((version) => (
          <option key={version} value={version}>
            version {version}
          </option>
        ))}
      </select>
    </label>
  );
}

function Difference({ job, compared }: { job: string; compared: Compared }): JSX.Element {
  const app = useApp();
  const { from, to } = compared;
  const texts = useLoaded(`diff/${job}/${from}/${to}`, () =>
    Promise.all([app.api.jobVersion(job, from), app.api.jobVersion(job, to)]),
  );
  if (texts.status === 'loading') return <Loading what="both versions" />;
  if (texts.status === 'failed') return <ErrorNote error={texts.error} retry={texts.reload} />;
  const [before, after] = texts.value;
  return (
    <TextDiff key={`${from} ${to}`} before={before?.source ?? ''} after={after?.source ?? ''} />
  );
}

function Definition({ job }: { job: JobDetail }): JSX.Element {
  return (
    <Panel
      title="Definition"
      note={`as submitted, version ${job.version}`}
      actions={<CopyButton text={job.source} label="Copy" selectId="definition" />}
    >
      <pre class="source" id="definition" tabIndex={0}>
        {job.source}
      </pre>
    </Panel>
  );
}

function VersionList({
  versions,
  current,
}: {
  versions: readonly VersionItem[];
  current: number;
}): JSX.Element {
  return (
    <ol class="versions">
      {versions.map((version, index) => {
        const before = versions[index + 1]?.version;
        return (
          <li key={version.version}>
            <span class="version-number">
              {version.version}
              {version.version === current ? <span class="tag">current</span> : null}
            </span>
            <span class="mono quiet" title={version.hash}>
              {version.hash.slice(0, 10)}
            </span>
            <span class="version-when">
              <Ago at={version.createdAt} />
            </span>
            <span class="version-by">
              by {version.createdBy}
              {before === undefined ? null : (
                <a href={writeCompared({ from: before, to: version.version })}>what changed</a>
              )}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
