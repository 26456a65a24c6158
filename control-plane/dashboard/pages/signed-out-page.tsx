/** Shown without a session: how to get in again. */
import type { JSX } from 'preact';
import { CopyButton } from '../parts/copy-button.tsx';
import { Wordmark } from '../parts/icons.tsx';

const COMMAND = 'npx runnel-control sign-in-link --data DIR';

export function SignedOutPage(): JSX.Element {
  return (
    <main class="blank signed-out" id="content">
      <Wordmark />
      <h1>You are signed out</h1>
      <p>
        On the machine of the control plane, this prints a link that signs you in once. DIR is its
        data directory, which it names when it starts.
      </p>
      <div class="command">
        <code id="sign-in-command">{COMMAND}</code>
        <CopyButton text={COMMAND} label="Copy" selectId="sign-in-command" />
      </div>
      <p class="quiet">A link works once and not for long. Ask for a new one when it was used.</p>
      <button type="button" class="button" onClick={() => location.reload()}>
        I have signed in
      </button>
    </main>
  );
}
