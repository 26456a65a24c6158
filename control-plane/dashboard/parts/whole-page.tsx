/**
 * A page that has nothing to show yet, or nothing at all. Whatever an address holds, the page at
 * once has a heading, says what is the matter, and leads on to where a person can go from there.
 */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useErrorBoundary } from 'preact/hooks';
import { ApiError } from '../api/api-client.ts';
import { asError } from '../hooks.ts';
import { paths } from '../router.ts';
import { ErrorNote, Loading } from './panel.tsx';

/** Where a person goes on to. */
export interface WayOn {
  readonly href: string;
  readonly word: string;
}

export function PageLoading({ title, what }: { title: string; what: string }): JSX.Element {
  return (
    <div class="page">
      <header class="page-head">
        <h1>{shortened(title)}</h1>
      </header>
      <Loading what={what} />
    </div>
  );
}

/**
 * Statuses of what is not there: it is unknown, or nothing can have such a name, which is refused
 * before it is looked for (its characters, its length, or an address that is too long to be read).
 */
const NOT_THERE: readonly number[] = [400, 404, 414, 431];

export function isNotThere(error: Error): boolean {
  return error instanceof ApiError && NOT_THERE.includes(error.status);
}

export function NotThere({
  heading,
  name,
  wayOn,
  children,
}: {
  heading: string;
  /** As the address has it. */
  name: string;
  wayOn: WayOn;
  /** What is known of it, after its name. */
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="blank">
      <h1>{heading}</h1>
      <p>
        <span class="mono">{shortened(name)}</span> {children}
      </p>
      <a class="button" href={wayOn.href}>
        {wayOn.word}
      </a>
    </div>
  );
}

/** Something else went wrong than that it is not there. */
export function PageFailure({
  title,
  error,
  retry,
  wayOn,
}: {
  title: string;
  error: Error;
  retry: () => void;
  wayOn: WayOn;
}): JSX.Element {
  return (
    <div class="page">
      <header class="page-head">
        <h1>{shortened(title)}</h1>
      </header>
      <ErrorNote error={error} retry={retry} />
      <p>
        <a class="button" href={wayOn.href}>
          {wayOn.word}
        </a>
      </p>
    </div>
  );
}

/** Around one page: a mistake in it leaves the frame and the way to the others. */
export function PageBoundary({
  path,
  children,
}: {
  /** Another address is tried anew. */
  path: string;
  children: ComponentChildren;
}): JSX.Element {
  const [error, reset] = useErrorBoundary((thrown: unknown) => {
    console.error('the page cannot be shown', thrown);
  });
  useEffect(reset, [path]);
  if (error === undefined) return <>{children}</>;
  const wayOn = { href: paths.overview, word: 'To the overview' };
  return (
    <PageFailure
      title="This page cannot be shown"
      error={asError(error)}
      retry={reset}
      wayOn={wayOn}
    />
  );
}

/** No name is longer; the rest of such an address tells nobody anything. */
const NAME_CHARS_MAX = 128;

function shortened(name: string): string {
  return name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX)}…`;
}
