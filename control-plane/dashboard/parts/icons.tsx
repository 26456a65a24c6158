/** Icons as inline SVG: they take the text's colour, need no request, and are silent themselves. */
import type { ComponentChildren, JSX } from 'preact';

function icon(children: ComponentChildren, size = 16): JSX.Element {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const icons = {
  search: icon(<path d="M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14" />),
  plus: icon(<path d="M8 3v10M3 8h10" />),
  copy: icon(<path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3" />),
  done: icon(<path d="m3 8.5 3.2 3.2L13 5" />),
  sun: icon(
    <>
      <circle cx="8" cy="8" r="3" />
      <path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1" />
    </>,
  ),
  moon: icon(<path d="M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z" />),
  leave: icon(<path d="M9.5 2.5h-6v11h6M7 8h7m-2.5-2.5L14 8l-2.5 2.5" />),
  close: icon(<path d="m4 4 8 8M12 4l-8 8" />),
  chevron: icon(<path d="m6 3.5 4.5 4.5L6 12.5" />),
  lost: icon(<path d="M1.5 6a9.5 9.5 0 0 1 13 0M4 9a5.8 5.8 0 0 1 8 0M8 12.5h0M2.5 14l11-12" />),
} as const;

/** The mark: two currents that join. */
export function Wordmark(): JSX.Element {
  return (
    <svg class="wordmark" width="26" height="20" viewBox="0 0 26 20" aria-hidden="true">
      <g fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round">
        <path d="M1 6c4.2 0 4.4 5 8.4 5S14.6 3 18.6 3 22.6 7 25 7" />
        <path d="M1 14c4.2 0 4.4 4 8.4 4s5.2-7 9.2-7 4 3 6.4 3" />
      </g>
    </svg>
  );
}
