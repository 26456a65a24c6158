/** One promise, device by device: how it stands, why, and the strip of what it was. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { SlaIntervalItem } from '../../http/sla-messages.ts';
import { formatDuration, formatTimestamp } from '../format/time.ts';
import { useApp, useLoaded, useNow } from '../hooks.ts';
import { paths } from '../router.ts';
import { type Period, PERIODS, stripPieces, stripWords } from '../slas/history-strip.ts';
import { formatShare, type PromiseDevice, type PromiseRow } from '../slas/promises.ts';
import { verdictLook } from '../slas/verdict-look.ts';
import { ErrorNote, Loading } from './panel.tsx';
import { Since } from './relative-time.tsx';
import { Worded } from './state-mark.tsx';

const SHOWN_AT_FIRST = 10;
const SHOWN_MORE = 50;
const MINUTE = 60_000;

export function SlaDevices({ row, period }: { row: PromiseRow; period: Period }): JSX.Element {
  const app = useApp();
  // By the minute: a strip of days does not move by the second.
  const to = Math.ceil(useNow() / MINUTE) * MINUTE;
  const from = to - PERIODS[period].ms;
  const [shown, setShown] = useState(SHOWN_AT_FIRST);
  const history = useLoaded(`sla-history/${row.key}/${period}/${to}`, () =>
    app.api.slas.history({ job: row.job, sla: row.sla, since: from }),
  );
  if (history.status === 'loading') return <Loading what="its history" />;
  if (history.status === 'failed') {
    return <ErrorNote error={history.error} retry={history.reload} />;
  }
  const rest = row.devices.length - shown;
  return (
    <>
      <ul class="sla-devices">
        {row.devices.slice(0, shown).map((device) => (
          <Device
            key={device.agent ?? ''}
            device={device}
            intervals={history.value.items.filter(({ agent }) => agent === device.agent)}
            from={from}
            to={to}
          />
        ))}
      </ul>
      <p class="fine">
        The last {PERIODS[period].word}, from left to right. Full height: breached; half: at risk;
        low: met; dashed outline: unreachable.
      </p>
      {history.value.truncated ? (
        <p class="cut-note">
          There were more changes than one answer holds: of the earliest time some is missing. A
          shorter period shows all of it.
        </p>
      ) : null}
      {rest <= 0 ? null : (
        <button type="button" class="button small" onClick={() => setShown(shown + SHOWN_MORE)}>
          Show more ({rest} left)
        </button>
      )}
    </>
  );
}

function Device({
  device,
  intervals,
  from,
  to,
}: {
  device: PromiseDevice;
  intervals: readonly SlaIntervalItem[];
  from: number;
  to: number;
}): JSX.Element {
  const { agent, name, now, compliance } = device;
  const { deviceVerdict } = now;
  return (
    <li class="sla-device">
      <span class="sla-device-name">
        {agent === null ? name : <a href={paths.device(agent)}>{name}</a>}
      </span>
      <span class="sla-verdict">
        <Worded look={verdictLook(now.verdict)} />
        <span class="quiet">
          <Since at={now.since} />
        </span>
      </span>
      <span class="num">{formatShare(compliance?.compliance ?? null)}</span>
      <Strip intervals={intervals} from={from} to={to} />
      <span class="sub sla-cause">
        {now.cause}
        {now.verdict === 'unreachable' && deviceVerdict !== null
          ? ` It last said itself: ${verdictLook(deviceVerdict).word.toLowerCase()}.`
          : ''}
      </span>
    </li>
  );
}

const HEIGHTS = { breached: 16, atRisk: 10, met: 5, unreachable: 16 } as const;

function Strip({
  intervals,
  from,
  to,
}: {
  intervals: readonly SlaIntervalItem[];
  from: number;
  to: number;
}): JSX.Element {
  const pieces = stripPieces(intervals, from, to);
  return (
    <span class="strip">
      <svg viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true">
        {pieces.map(({ verdict, left, width, interval }) => (
          <rect
            class={`strip-${verdict}`}
            key={`${interval.from}/${verdict}`}
            x={left * 1000}
            width={width * 1000}
            y={16 - HEIGHTS[verdict]}
            height={HEIGHTS[verdict]}
          >
            <title>{pieceWords(interval, to)}</title>
          </rect>
        ))}
      </svg>
      <span class="visually-hidden">{stripWords(pieces)}</span>
    </span>
  );
}

function pieceWords({ verdict, from, to, cause, judge }: SlaIntervalItem, now: number): string {
  const lasted = formatDuration((to ?? now) - from);
  const by = judge === 'device' ? 'the device' : 'the control plane';
  const word = `${verdictLook(verdict).word} for ${lasted}`;
  return `${word} from ${formatTimestamp(from)}, as ${by} saw it. ${cause}`;
}
