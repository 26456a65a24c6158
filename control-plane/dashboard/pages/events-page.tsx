/** What happened across the fleet, newest first. */
import type { JSX } from 'preact';
import { useApp, useLoaded, useObservable, useRefresh } from '../hooks.ts';
import { EventList } from '../parts/event-list.tsx';
import { ErrorNote, Loading } from '../parts/panel.tsx';

export function EventsPage(): JSX.Element {
  const app = useApp();
  const { agents } = useObservable(app.fleet);
  const events = useLoaded('events', () => app.api.events());
  useRefresh(events);
  return (
    <div class="page narrow">
      <header class="page-head">
        <div>
          <h1>Events</h1>
          <p class="lede">What happened across the fleet, newest first</p>
        </div>
      </header>
      {events.status === 'loading' ? <Loading what="events" /> : null}
      {events.status === 'failed' ? <ErrorNote error={events.error} retry={events.reload} /> : null}
      {events.status === 'ready' ? (
        <EventList
          events={events.value}
          agentName={(id) => agents.get(id)?.name ?? id}
          atFirst={50}
        />
      ) : null}
    </div>
  );
}
