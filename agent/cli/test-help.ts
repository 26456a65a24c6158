/** What `runnel test --help` adds. */
export const TEST_HELP = `
Tests of a stream job give input and expect outputs; those of a batch job give the time, journal,
datasets and files, and expect states, outputs, rows and files. Batch jobs run on a directory of
their own, with the device's own code; pauses of retries are left out.

Exit codes: 0 all pass, 1 one fails, 2 the job or its tests are wrong.

Example:
  runnel test job.yaml`;
