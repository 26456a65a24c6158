/** What the HTTP side counts of itself. */
import { Counters, gauge, type MetricFamily } from './metrics.ts';

export class HttpMetrics {
  readonly requests = new Counters('runnel_http_requests_total', 'Requests answered.', [
    'method',
    'route',
    'status',
  ]);
  readonly seconds = new Counters(
    'runnel_http_request_seconds_total',
    'Time spent on requests, by route.',
    ['method', 'route'],
  );
  readonly refused = new Counters(
    'runnel_http_auth_refused_total',
    'Requests refused before they reached a resource, by reason.',
    ['reason'],
  );
  readonly rateLimited = new Counters(
    'runnel_http_rate_limited_total',
    'Requests without a token that came too fast, by route.',
    ['route'],
  );
  readonly liveClosed = new Counters(
    'runnel_live_closed_total',
    'Websockets that the server closed, by reason.',
    ['reason'],
  );
  /** Set by the live hub. */
  liveClients: () => number = () => 0;

  families(): MetricFamily[] {
    return [
      this.requests.family(),
      this.seconds.family(),
      this.refused.family(),
      this.rateLimited.family(),
      this.liveClosed.family(),
      gauge('runnel_live_clients', 'Websockets that are open.', this.liveClients()),
    ];
  }
}
