import type { AgentItem } from '../http/live-messages.ts';

/** Is what an agent reported still true? Else it is what was last known of it. */
export function isHeard({ status, connection }: AgentItem): boolean {
  return status === 'approved' && (connection === 'online' || connection === 'late');
}
