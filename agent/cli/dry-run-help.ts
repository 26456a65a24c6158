/** What `runnel dry-run --help` adds. */
export const DRY_RUN_HELP = `
A stream job runs over its input; stdout holds only result lines.
A batch job shows the plan of the runs of that time: partitions, parameters, tasks, costs. With
--execute it runs here, with the device's own code on a directory of its own. It may run any program
and reach any host, since it runs as you; files are those below the data directory, the working
directory, the job's directory and the temporary one. With --policy that file alone decides.
  Relative paths of the job are below --data; cursors and datasets stay there for the next time.
  --input fills the journal: lines {"time": ms, "topic", "payload"}, the time being the arrival.
  --output jsonl prints a line for each task instance in the order they ended
    {"task", "index", "state", "attempt", "startedAt", "endedAt", "output", "error"}
  and for each run {"run": {"key", "state"}}.
  Pauses of retries take their time. SIGINT cancels (teardown tasks run); a second one ends at once.

Exit codes of a batch job: 0 every run succeeded, 1 one did not, 2 the job or the usage is wrong.

Examples:
  runnel dry-run job.yaml --input readings=readings.jsonl
  runnel dry-run nightly.yaml --at 2026-11-23T00:15:00+01:00 --param minRms=0.2
  runnel dry-run nightly.yaml --execute --input readings=readings.jsonl --output jsonl`;
