/** The frame around every page: navigation, the state of the link, the banner when it is lost. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatAgo, formatClock, formatTimestamp } from './format/time.ts';
import { asError, useApp, useNow, useObservable, useStale } from './hooks.ts';
import { address } from './navigation.ts';
import { AddDevicePage } from './pages/add-device-page.tsx';
import { AlertsPage } from './pages/alerts-page.tsx';
import { DevicePage } from './pages/device-page.tsx';
import { EventsPage } from './pages/events-page.tsx';
import { DevicesPage } from './pages/devices-page.tsx';
import { JobPage } from './pages/job-page.tsx';
import { JobsPage } from './pages/jobs-page.tsx';
import { OverviewPage } from './pages/overview-page.tsx';
import { RunPage } from './pages/run-page.tsx';
import { SlasPage } from './pages/slas-page.tsx';
import { SignedOutPage } from './pages/signed-out-page.tsx';
import { icons, Wordmark } from './parts/icons.tsx';
import { Mark } from './parts/state-mark.tsx';
import { NotThere, PageBoundary } from './parts/whole-page.tsx';
import { parseRoute, paths, type Route } from './router.ts';
import { theme, toggleTheme } from './theme.ts';

export function App(): JSX.Element {
  const app = useApp();
  const { path } = useObservable(address);
  const signedOut = useObservable(app.signedOut);
  const stale = useStale();
  const loaded = useObservable(app.fleet).loaded;
  const main = useRef<HTMLElement>(null);
  const shownPath = useRef(path);
  const route = parseRoute(path);
  useEffect(() => {
    document.title = signedOut ? 'Signed out · Runnel' : `${titleOf(route)} · Runnel`;
    // A keyboard or screen reader goes on at the new page, not at the link that led there.
    if (shownPath.current !== path) main.current?.focus({ preventScroll: true });
    shownPath.current = path;
  }, [path, signedOut]);
  if (signedOut) return <SignedOutPage />;
  return (
    <div class={stale && loaded ? 'frame stale' : 'frame'}>
      <a class="skip" href="#content">
        Skip to content
      </a>
      <TopBar route={route} />
      <LostBanner />
      <main id="content" ref={main} tabIndex={-1}>
        <PageBoundary path={path}>
          <Page route={route} />
        </PageBoundary>
      </main>
    </div>
  );
}

function titleOf(route: Route): string {
  switch (route.page) {
    case 'overview':
      return 'Overview';
    case 'devices':
      return 'Devices';
    case 'device':
      return 'Device';
    case 'addDevice':
      return 'Add device';
    case 'jobs':
      return 'Jobs';
    case 'job':
      return route.tab === 'runs' ? `Runs of ${route.name}` : route.name;
    case 'run':
      return 'Run';
    case 'alerts':
      return 'Alerts';
    case 'slas':
      return 'SLAs';
    case 'events':
      return 'Events';
    case 'notFound':
      return 'Not found';
  }
}

function Page({ route }: { route: Route }): JSX.Element {
  switch (route.page) {
    case 'overview':
      return <OverviewPage />;
    case 'devices':
      return <DevicesPage />;
    case 'device':
      return <DevicePage key={route.id} id={route.id} />;
    case 'addDevice':
      return <AddDevicePage />;
    case 'jobs':
      return <JobsPage />;
    case 'job':
      return <JobPage key={route.name} name={route.name} tab={route.tab} />;
    case 'run':
      return <RunPage key={route.id} id={route.id} />;
    case 'alerts':
      return <AlertsPage tab={route.tab} />;
    case 'slas':
      return <SlasPage />;
    case 'events':
      return <EventsPage />;
    case 'notFound':
      return (
        <NotThere
          heading="There is no such page"
          name={route.path}
          wayOn={{ href: paths.overview, word: 'To the overview' }}
        >
          is not an address of this control plane.
        </NotThere>
      );
  }
}

const PAGES: readonly { to: string; word: string; of: readonly Route['page'][] }[] = [
  { to: paths.overview, word: 'Overview', of: ['overview'] },
  { to: paths.devices, word: 'Devices', of: ['devices', 'device', 'addDevice'] },
  { to: paths.jobs, word: 'Jobs', of: ['jobs', 'job', 'run'] },
  { to: paths.alerts(), word: 'Alerts', of: ['alerts'] },
  { to: paths.slas, word: 'SLAs', of: ['slas'] },
  { to: paths.events, word: 'Events', of: ['events'] },
];

function TopBar({ route }: { route: Route }): JSX.Element {
  const app = useApp();
  const shade = useObservable(theme);
  const other = shade === 'dark' ? 'light' : 'dark';
  const [failure, setFailure] = useState<string | null>(null);
  const signOut = (): void => {
    app.signOut().catch((error: unknown) => setFailure(asError(error).message));
  };
  return (
    <header class="topbar">
      <a class="brand" href={paths.overview}>
        <Wordmark />
        <span>Runnel</span>
      </a>
      <nav class="nav" aria-label="Pages">
        {PAGES.map(({ to, word, of }) => (
          <NavLink key={to} to={to} on={of.includes(route.page)}>
            {word}
          </NavLink>
        ))}
      </nav>
      <div class="topbar-end">
        <LinkState />
        <button
          type="button"
          class="icon-button"
          onClick={toggleTheme}
          aria-label={`Use the ${other} theme`}
          title={`Use the ${other} theme`}
        >
          {shade === 'dark' ? icons.sun : icons.moon}
        </button>
        <button
          type="button"
          class="icon-button"
          onClick={signOut}
          aria-label="Sign out"
          title="Sign out"
        >
          {icons.leave}
        </button>
        {failure === null ? null : (
          <p class="topbar-failure" role="alert">
            Still signed in. {failure}
          </p>
        )}
      </div>
    </header>
  );
}

function NavLink({ to, on, children }: { to: string; on: boolean; children: string }): JSX.Element {
  return (
    <a href={to} aria-current={on ? 'page' : undefined}>
      {children}
    </a>
  );
}

function LinkState(): JSX.Element {
  const app = useApp();
  const link = useObservable(app.link.state);
  const stale = useStale();
  const word = !stale ? 'Live' : link.contactAt === null ? 'Connecting' : 'No contact';
  return (
    <span class="link-state" role="status">
      <Mark shape="disc" tone="ok" />
      <span>{word}</span>
    </span>
  );
}

/** Says since when, and that what follows is old. Announced once; the ticking part is not. */
function LostBanner(): JSX.Element | null {
  const app = useApp();
  const link = useObservable(app.link.state);
  const stale = useStale();
  const now = useNow();
  const offset = app.fleet.value.clockOffsetMs;
  if (!stale) return null;
  if (link.contactAt === null) {
    if (link.phase === 'connecting' && link.attempt === 1) return null;
    return <Banner text="No contact with the control plane yet. Trying again…" />;
  }
  const at = link.contactAt + offset;
  const shown = now - at < 12 * 3_600_000 ? formatClock(at) : formatTimestamp(at);
  return (
    <Banner
      text={`No contact with the control plane since ${shown}.`}
      ticking={`Last heard ${formatAgo(now, at)}; what is shown is how things were then.`}
    />
  );
}

function Banner({ text, ticking }: { text: string; ticking?: string }): JSX.Element {
  const app = useApp();
  return (
    <div class="banner">
      {icons.lost}
      <p>
        <strong role="alert">{text}</strong> {ticking}
      </p>
      <button type="button" class="button small" onClick={() => app.link.wake()}>
        Try now
      </button>
    </div>
  );
}
