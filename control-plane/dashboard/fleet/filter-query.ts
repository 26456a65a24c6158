/**
 * The list's filter as the query of its address, so that a view can be bookmarked and sent to a
 * colleague. Unknown words in an address are ignored, never an error page.
 */
import { FACETS, type Facet, type FleetFilter, noFilter, SORTS } from './fleet-view.ts';

export function readFilter(query: string): FleetFilter {
  const params = new URLSearchParams(query);
  const facet = params.get('state');
  const sort = params.get('sort');
  return {
    search: params.get('q') ?? '',
    facet: isFacet(facet) ? facet : null,
    labels: params.getAll('label'),
    sort: SORTS.find((name) => name === sort) ?? noFilter.sort,
  };
}

export function writeFilter(filter: FleetFilter): string {
  const params = new URLSearchParams();
  if (filter.search !== '') params.set('q', filter.search);
  if (filter.facet !== null) params.set('state', filter.facet);
  for (const label of filter.labels) params.append('label', label);
  if (filter.sort !== noFilter.sort) params.set('sort', filter.sort);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function isFacet(word: string | null): word is Facet {
  return word === 'revoked' || FACETS.some((facet) => facet === word);
}
