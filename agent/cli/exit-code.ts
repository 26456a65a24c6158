/** What the exit codes of `runnel-agent` mean; `--help` prints them, and they stay. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  refused: 4,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const EXIT_CODES_HELP = `
Exit codes:
  0  done; status: the agent runs and nothing is wrong
  1  it failed; status: the agent runs and has an error
  2  wrong usage, or a file (agent.yaml, policy.yaml, a job) that does not pass
  3  status: no agent runs on this directory; enroll: the control plane cannot be reached
  4  the control plane refused: a wrong or expired token, a revoked device`;
