/**
 * The list's filter as the query of its address, so that a view can be bookmarked and sent to a
 * colleague. Unknown words in an address are ignored, never an error page.
 */
import { HEALTH_AXES } from '@runnel/shared/health/device-health.ts';
import { FACETS, type Facet, type FleetFilter, noFilter, SORTS } from './fleet-view.ts';

export function readFilter(query: string): FleetFilter {
  const params = new URLSearchParams(query);
  const facet = params.get('state');
  const sort = params.get('sort');
  return {
    search: params.get('q') ?? '',
    facet: isFacet(facet) ? facet : null,
    // Pairs are what earlier releases wrote.
    selector: [params.get('selector') ?? '', ...params.getAll('label')].filter(Boolean).join(','),
    axis: HEALTH_AXES.find((name) => name === params.get('axis')) ?? null,
    sort: SORTS.find((name) => name === sort) ?? noFilter.sort,
  };
}

export function writeFilter(filter: FleetFilter): string {
  const params = new URLSearchParams();
  if (filter.search !== '') params.set('q', filter.search);
  if (filter.facet !== null) params.set('state', filter.facet);
  if (filter.selector !== '') params.set('selector', filter.selector);
  if (filter.axis !== null) params.set('axis', filter.axis);
  if (filter.sort !== noFilter.sort) params.set('sort', filter.sort);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function isFacet(word: string | null): word is Facet {
  return word === 'revoked' || FACETS.some((facet) => facet === word);
}
