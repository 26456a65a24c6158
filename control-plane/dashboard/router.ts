/**
 * Addresses of the page. Plain paths (the server answers every one with the page itself), so that
 * they can be read, bookmarked and sent. Pure parsing; the shell is in `navigation.ts`.
 */
export type Route =
  | { readonly page: 'fleet' }
  | { readonly page: 'device'; readonly id: string }
  | { readonly page: 'addDevice' }
  | { readonly page: 'jobs' }
  | { readonly page: 'job'; readonly name: string }
  | { readonly page: 'jobRuns'; readonly name: string }
  | { readonly page: 'run'; readonly id: string }
  | { readonly page: 'events' }
  | { readonly page: 'notFound'; readonly path: string };

export const paths = {
  fleet: '/',
  addDevice: '/devices/add',
  jobs: '/jobs',
  events: '/events',
  device: (id: string): string => `/devices/${encodeURIComponent(id)}`,
  job: (name: string): string => `/jobs/${encodeURIComponent(name)}`,
  /** Of one device, by name or id, or of all. */
  jobRuns: (name: string, agent?: string): string =>
    `/jobs/${encodeURIComponent(name)}/runs` +
    (agent === undefined ? '' : `?agent=${encodeURIComponent(agent)}`),
  /** With its agent, since a device could report the id of another's run. */
  run: (id: string, agent: string): string =>
    `/runs/${encodeURIComponent(id)}?agent=${encodeURIComponent(agent)}`,
} as const;

export function parseRoute(path: string): Route {
  const [first = '', second, third, ...more] = path.split('/').filter(Boolean).map(decode);
  if (first === 'jobs' && second !== undefined && third === 'runs' && more.length === 0) {
    return { page: 'jobRuns', name: second };
  }
  if (third !== undefined) return { page: 'notFound', path };
  if (first === '' || (first === 'devices' && second === undefined)) return { page: 'fleet' };
  if (first === 'devices' && second !== undefined) {
    return second === 'add' ? { page: 'addDevice' } : { page: 'device', id: second };
  }
  if (first === 'jobs')
    return second === undefined ? { page: 'jobs' } : { page: 'job', name: second };
  if (first === 'runs' && second !== undefined) return { page: 'run', id: second };
  if (first === 'events' && second === undefined) return { page: 'events' };
  return { page: 'notFound', path };
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
