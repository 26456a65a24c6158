/** What the exit codes of `runnel` mean; `--help` prints them, and they stay. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  unauthorised: 4,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  the control plane refused or failed, or there is no such thing
  2  wrong usage, or a job document that does not pass
  3  the control plane cannot be reached
  4  no valid token, or the token's role does not allow it`;
