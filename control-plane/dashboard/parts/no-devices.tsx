/** What stands where devices would be before the first joined. */
import type { JSX } from 'preact';
import { useMayOperate } from '../hooks.ts';
import { paths } from '../router.ts';
import { icons, Wordmark } from './icons.tsx';

export function NoDevices(): JSX.Element {
  const mayOperate = useMayOperate();
  return (
    <div class="blank">
      <Wordmark />
      <h1>No devices yet</h1>
      <p>
        A device joins with one command. It then shows up here by itself, with its health, its jobs
        and what they produce.
      </p>
      {mayOperate ? (
        <a class="button primary" href={paths.addDevice}>
          {icons.plus}
          Add the first device
        </a>
      ) : (
        <p>You are signed in as a viewer; an operator can add devices.</p>
      )}
    </div>
  );
}
