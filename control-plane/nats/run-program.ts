/** Runs a helper program to its end. Never throws: what went wrong is part of the answer. */
import { execFile } from 'node:child_process';

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export type RunResult =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly why: string };

/** `why` names the exit code or signal and the last line that the program printed. */
export function run(
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { ...options, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 * 1024, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error === null) resolve({ ok: true, output: `${stdout}${stderr}` });
        else resolve({ ok: false, why: options.signal.aborted ? 'timed out' : reason(error) });
        function reason(failure: Error & { code?: string | number | null }): string {
          if (failure.code === 'ENOENT') return 'not found';
          if (failure.code === 'EACCES') return 'may not be executed';
          const last = `${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? '';
          return `failed (${failure.code ?? 'killed'})${last === '' ? '' : `: ${last.trim()}`}`;
        }
      },
    );
  });
}
