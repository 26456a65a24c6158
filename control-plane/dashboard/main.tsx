/** Composition root of the page: the only place that takes the browser's clock and randomness. */
import './style/tokens.css';
import './style/base.css';
import './style/shell.css';
import './style/fleet.css';
import './style/detail.css';
import './style/runs.css';
import './style/overview.css';
import './style/sections.css';
import { systemClock } from '@runnel/shared/clock.ts';
import { render } from 'preact';
import { AppModel } from './app-model.ts';
import { App } from './app.tsx';
import { AppContext } from './hooks.ts';
import { startNavigation } from './navigation.ts';
import { startTheme } from './theme.ts';

const liveUrl = new URL('/api/v1/live', location.href);
liveUrl.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';

const app = new AppModel({ clock: systemClock, random: Math.random, liveUrl: liveUrl.href });

startTheme();
startNavigation();
addEventListener('online', () => app.link.wake());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') app.link.wake();
});

const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no element #app');
render(
  <AppContext.Provider value={app}>
    <App />
  </AppContext.Provider>,
  root,
);
await app.start();
