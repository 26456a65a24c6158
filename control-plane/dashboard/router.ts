/**
 * Addresses of the page. Plain paths (the server answers every one with the page itself), so that
 * they can be read, bookmarked and sent. Pure parsing; the shell is in `navigation.ts`.
 */
export const JOB_TABS = ['results', 'rollout', 'versions', 'parameters', 'slas', 'runs'] as const;
export type JobTab = (typeof JOB_TABS)[number];

export const ALERT_TABS = ['open', 'history', 'silences', 'receivers', 'notifications'] as const;
export type AlertTab = (typeof ALERT_TABS)[number];

export type Route =
  | { readonly page: 'overview' }
  | { readonly page: 'devices' }
  | { readonly page: 'device'; readonly id: string }
  | { readonly page: 'addDevice' }
  | { readonly page: 'jobs' }
  | { readonly page: 'job'; readonly name: string; readonly tab: JobTab }
  | { readonly page: 'run'; readonly id: string }
  | { readonly page: 'alerts'; readonly tab: AlertTab }
  | { readonly page: 'slas' }
  | { readonly page: 'events' }
  | { readonly page: 'notFound'; readonly path: string };

export const paths = {
  overview: '/',
  devices: '/devices',
  addDevice: '/devices/add',
  jobs: '/jobs',
  slas: '/slas',
  events: '/events',
  alerts: (tab: AlertTab = 'open'): string => (tab === 'open' ? '/alerts' : `/alerts/${tab}`),
  device: (id: string): string => `/devices/${encodeURIComponent(id)}`,
  job: (name: string, tab: JobTab = 'results'): string =>
    `/jobs/${encodeURIComponent(name)}${tab === 'results' ? '' : `/${tab}`}`,
  /** Of one device, by name or id, or of all. */
  jobRuns: (name: string, agent?: string): string =>
    paths.job(name, 'runs') + (agent === undefined ? '' : `?agent=${encodeURIComponent(agent)}`),
  /** With its agent, since a device could report the id of another's run. */
  run: (id: string, agent: string): string =>
    `/runs/${encodeURIComponent(id)}?agent=${encodeURIComponent(agent)}`,
} as const;

export function parseRoute(path: string): Route {
  const parts = path.split('/').filter(Boolean).map(decode);
  const [first = '', second, third] = parts;
  const notFound: Route = { page: 'notFound', path };
  if (parts.length > 3) return notFound;
  if (first === 'jobs' && second !== undefined) {
    const tab = JOB_TABS.find((name) => name === (third ?? 'results'));
    return tab === undefined ? notFound : { page: 'job', name: second, tab };
  }
  if (third !== undefined) return notFound;
  if (first === 'alerts') {
    const tab = ALERT_TABS.find((name) => name === (second ?? 'open'));
    return tab === undefined ? notFound : { page: 'alerts', tab };
  }
  if (second !== undefined) return partOf(first, second) ?? notFound;
  switch (first) {
    case '':
      return { page: 'overview' };
    case 'devices':
    case 'jobs':
    case 'slas':
    case 'events':
      return { page: first };
    default:
      return notFound;
  }
}

function partOf(first: string, second: string): Route | undefined {
  if (first === 'runs') return { page: 'run', id: second };
  if (first !== 'devices') return undefined;
  return second === 'add' ? { page: 'addDevice' } : { page: 'device', id: second };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    // A stray % in a hand-typed address: taken as it stands, it leads to "not found".
    if (error instanceof URIError) return part;
    throw error;
  }
}

/** Where a bookmark of an earlier release leads now: the list of devices was the first page. */
export function movedTo(path: string, query: string): string | null {
  if (path !== '/') return null;
  const filters = [...new URLSearchParams(query).keys()];
  return filters.some((key) => ['q', 'state', 'label', 'selector', 'sort'].includes(key))
    ? paths.devices + query
    : null;
}
