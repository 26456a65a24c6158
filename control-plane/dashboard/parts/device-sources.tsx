/** Where a device's records come from, and what was not taken, by reason. */
import type { JSX } from 'preact';
import { useContext } from 'preact/hooks';
import type { SourceItem } from '../../http/live-messages.ts';
import { formatBytes, formatCount } from '../format/amount.ts';
import { OldContext } from '../hooks.ts';
import { EmptyNote, Panel } from './panel.tsx';
import { Mark } from './state-mark.tsx';

export function DeviceSources({ sources }: { sources: readonly SourceItem[] }): JSX.Element {
  const old = useContext(OldContext);
  return (
    <Panel title="Sources" note={old ? 'as last reported' : undefined}>
      {sources.length === 0 ? (
        <EmptyNote>No source is in use: sources start with the jobs that read them.</EmptyNote>
      ) : (
        <div class="table-wrap">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Source</th>
                <th scope="col">State</th>
                <th scope="col" class="num">
                  Records
                </th>
                <th scope="col" class="num">
                  Bytes
                </th>
                <th scope="col" class="num">
                  Redelivered
                </th>
                <th scope="col">Dropped</th>
              </tr>
            </thead>
            <tbody>
              {sources.map((source) => (
                <SourceRow key={source.id} source={source} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function SourceRow({ source }: { source: SourceItem }): JSX.Element {
  const dropped = Object.entries(source.dropped).filter(([, count]) => count > 0);
  return (
    <tr>
      <th scope="row" title={source.id}>
        {source.label ?? source.id}
        <span class="sub">{source.kind}</span>
      </th>
      <td data-label="State">
        <span>
          <span class="state">
            <Mark
              shape={source.connected ? 'disc' : 'square'}
              tone={source.connected ? 'ok' : 'error'}
            />
            {source.connected ? 'Connected' : 'Not connected'}
          </span>
          {source.error === null ? null : <span class="sub wrap">{source.error}</span>}
        </span>
      </td>
      <td data-label="Records" class="num">
        {formatCount(source.records)}
      </td>
      <td data-label="Bytes" class="num">
        {formatBytes(source.bytes)}
      </td>
      <td data-label="Redelivered" class="num">
        {formatCount(source.redelivered)}
      </td>
      <td data-label="Dropped">
        <span>
          {dropped.length === 0 ? <span class="quiet">none</span> : null}
          {dropped.map(([reason, count]) => (
            <span class="drop" key={reason}>
              {formatCount(count)} {reason}
            </span>
          ))}
        </span>
      </td>
    </tr>
  );
}
