/** What needs a person, live while a component asks for it; null until it is known. */
import { useEffect } from 'preact/hooks';
import type { AttentionItem } from '../../http/live-messages.ts';
import { useApp, useObservable } from '../hooks.ts';

export function useAttention(): AttentionItem | null {
  const app = useApp();
  useEffect(() => app.followAttention(), [app]);
  return useObservable(app.attention);
}
