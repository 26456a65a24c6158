import type { JSX } from 'preact';
import { useMayOperate } from '../hooks.ts';
import { paths } from '../router.ts';
import { icons } from './icons.tsx';

/** To the page that adds a device, for whoever may. */
export function AddDeviceLink(): JSX.Element | null {
  if (!useMayOperate()) return null;
  return (
    <a class="button primary" href={paths.addDevice}>
      {icons.plus}
      Add device
    </a>
  );
}
