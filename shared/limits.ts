/**
 * Every bound that is not in a job document, in one place. Each names its policy when it is met.
 */
const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  /** One MQTT payload or file line; larger: dropped, counted as `payload_too_large`. */
  payloadBytesMax: 1 * MiB,
  /**
   * Nesting of one JSON payload; deeper is a dead letter, `bad_json`: `JSON.parse` reads any depth,
   * but `JSON.stringify` and every walk over it would overflow the stack.
   */
  jsonDepthMax: 256,
  /** One LMDB value of a journal block; a larger block is cut into parts. */
  journalPartBytesMax: 64 * KiB,
  /** Journal retention by default: oldest blocks go first (DESIGN.md §6.3). */
  journalBytesMax: 256 * MiB,
  journalAgeMsMax: 24 * 3_600_000,
  /** LMDB's map, which is the agent's disk budget; a full map is the condition `storage`. */
  storeBytesMax: 1024 * MiB,
  /** Records gathered and not yet committed; beyond it sources are paused. */
  gatherRecordsMax: 8192,
  gatherBytesMax: 8 * MiB,
  /** MQTT 5 receive maximum that we announce; the broker stops at it. */
  receiveMaximum: 1024,
  /** Outbox bound by default; policy drop-oldest of results, never of rows in flight. */
  outboxBytesMax: 128 * MiB,
  /** Rows of dead letters kept; oldest go first, counted. */
  deadLettersMax: 10_000,
  /** One block of results on the wire, before compression; `cp.<agent>.results`. */
  resultBlockBytesMax: 256 * KiB,
  resultBlockRowsMax: 2000,
  /**
   * One row on its way there, whoever made it, well below a NATS message; a larger one goes to the
   * dead letters, counted and declared as `lost`.
   */
  outboxRowBytesMax: 3 * MiB,
  /** Repairs of one `reindex` of the store; policy: the rest is mended by the next attempt. */
  reindexRepairsMax: 10_000,
  /** Problems that the check of a SQLite file tells; policy: the rest is not told. */
  reindexProblemsMax: 100,
  /** Jobs whose lane is remembered; policy: those of which nothing waits are forgotten. */
  outboxJobsPlacedMax: 1000,
  /** The report of a run; in a longer one tasks come without what they need. */
  runReportBytesMax: 2 * MiB,
  /** One NATS message; the embedded server's `max_payload`. */
  natsPayloadBytesMax: 4 * MiB,
  /**
   * Keys of one step; a new key beyond it is dropped, counted as `keys_max`. With `watermarkPer:
   * key` the oldest keys without open windows go first, counted as `keys_forgotten`.
   */
  keysPerStepMax: 100_000,
  /** Open windows of one key; a record that would open more is dropped, `windows_max`. */
  windowsPerKeyMax: 1000,
  /** Identities of one source that are remembered; the oldest go first, `identities_max`. */
  identitiesMax: 100_000,
  /**
   * Topics of one source with a watermark of their own; more share one, which is counted as
   * `topics_max` when they begin to, and again after they were idle.
   */
  watermarkTopicsMax: 10_000,
  /** One job document as text. */
  definitionBytesMax: 256 * KiB,
  /** Tasks of one batch job; a document with more is refused. */
  tasksPerJobMax: 1000,
  /** Keys of a job's `partition`; a document with more is refused. */
  partitionKeysMax: 1000,
  /** Items of one `forEach`; more fail the task that made the list, as `for_each_too_long`. */
  forEachItemsMax: 1024,
  /** The output of one task instance as JSON; a larger one fails it, as `output_too_large`. */
  taskOutputBytesMax: 64 * KiB,
  /** Outputs of all instances of one run; the one that would pass it fails (`resources`). */
  runOutputBytesMax: 8 * MiB,
  /** `Retry-After` of an answer, as far as it is honoured; a longer one is cut to it. */
  retryAfterMsMax: 3_600_000,
  /** Attempts of one instance that the agent's stops may interrupt; one more fails it. */
  interruptedAttemptsMax: 10,
  /** What a minute of waiting adds to the priority of a run or task: nothing starves. */
  agingPerMinute: 1,
  /** After this wait of a task for its cost smaller ones no longer pass it: its room is kept. */
  admissionReserveAfterMs: 60_000,
  /** Attempts that a document may ask for. */
  taskAttemptsMax: 1000,
  /** Texts and values that the templates of one task give; more fails it, as `template_value`. */
  renderedConfigCharsMax: 4 * MiB,
  /** Expression text, nodes and cost per evaluation (expressions/). */
  expressionCharsMax: 4096,
  expressionNodesMax: 500,
  expressionCostMax: 20_000,
  /** A text made by an expression, and a regular expression's compiled size. */
  expressionTextCharsMax: 1_000_000,
  expressionPatternSizeMax: 2000,
  /** The policy in a heartbeat; a larger one is not sent, and the device alone judges by it. */
  policyReportBytesMax: 8 * KiB,
  /** Selectors that one job's parameters are set for; one more is refused. */
  parameterLabelLayersMax: 100,
  /** Layers of one job's parameters over the whole fleet; one more is refused. */
  parameterLayersMax: 20_000,
  /** One value of a parameter as JSON; a larger one is refused. */
  parameterValueBytesMax: 16 * KiB,
  /** Devices that the answer to an apply names, those that cannot run it first; all are counted. */
  placementsToldMax: 100,
  /** Heartbeats: late after 2 missed, offline after 5 (DESIGN.md §11). */
  heartbeatIntervalMs: 10_000,
  /** Results and alerts that the control plane keeps; the oldest go first, counted. */
  resultsKeptMsMax: 30 * 86_400_000,
  resultsKeptRowsMax: 10_000_000,
  /** Intervals of verdicts on promises that it keeps; the oldest that are over go, counted. */
  slaIntervalsKeptMsMax: 400 * 86_400_000,
  slaIntervalsKeptRowsMax: 2_000_000,
  /** Changes of verdicts that wait for its store; the newest are dropped, counted. */
  slaChangesWaitingMax: 100_000,
  /** Intervals that one answer is made of; of more the newest, and the answer says so. */
  slaIntervalsReadMax: 100_000,
  /** Events that it keeps, and rows of its audit log; the oldest go first, counted. */
  eventsKeptMsMax: 30 * 86_400_000,
  eventsKeptRowsMax: 1_000_000,
  auditRowsMax: 1_000_000,
  /** Runs of batch jobs that the control plane keeps, with their tasks; the oldest go, counted. */
  runsKeptMsMax: 90 * 86_400_000,
  runsKeptRowsMax: 200_000,
  /** Instances of tasks over all runs; beyond it the oldest runs go, with theirs. */
  runTasksKeptRowsMax: 4_000_000,
  /**
   * Output of one task there, as JSON; a larger one is kept as `{ "truncated": true, "bytes" }`.
   */
  taskOutputStoredBytesMax: 16 * KiB,
  /**
   * Alerts that are open at once; one more is not opened, counted as `open_max`. What can be seen
   * again (devices, conditions, runs, SLAs, rollouts) is opened when there is room.
   */
  alertsOpenMax: 50_000,
  /** Resolved alerts, and notifications in the log; the oldest go first, counted. */
  alertsKeptMsMax: 30 * 86_400_000,
  alertsKeptRowsMax: 200_000,
  notificationsKeptMsMax: 30 * 86_400_000,
  notificationsKeptRowsMax: 200_000,
  /** Title and message of an alert; longer ones are cut. */
  alertTextCharsMax: 1000,
  /** Silences that have not ended, and receivers; more are refused. */
  silencesMax: 1000,
  receiversMax: 50,
  /** How long a silence may last; a longer one is refused. */
  silenceMsMax: 366 * 86_400_000,
  /** Attempts of one notification; then it is given up, counted, and its group begins anew. */
  notificationTriesMax: 20,
  /** Alerts in one notification; the rest is told as a number. */
  notificationAlertsMax: 500,
  /** Notifications under way at once; the others wait for their turn. */
  notificationsAtOnceMax: 8,
  /** What a receiver may take to answer, and what is read of its answer; then it failed. */
  notificationTimeoutMs: 10_000,
  notificationAnswerBytesMax: 64 * KiB,
  /** Time without a loss after which the agent's condition `dropped` clears; causes it names. */
  lossQuietMs: 10 * 60_000,
  lossCausesToldMax: 10,
  /**
   * How long a device that is heard may take to report a desired state, before its rollout counts
   * as behind; three heartbeats where that is longer. A push to ten thousand devices is no problem
   * of any of them.
   */
  desiredTakenMsMax: 2 * 60_000,
  /** Silence of a device before it is an alert, beyond the verdict that it is offline. */
  offlineAlertAfterMs: 5 * 60_000,
  /** The longest that can be asked for; a longer one is refused. */
  offlineAlertAfterMsMax: 30 * 86_400_000,
  /** Failed partitions older than this are not held against a job any more. */
  failedRunsAlertMsMax: 7 * 86_400_000,
  /** A device's clock that is further off is a condition; within two thirds of it, it clears. */
  clockSkewMsMax: 30_000,
  /** Of an event in the store of the control plane; a longer one is cut. */
  eventMessageCharsMax: 2000,
  /** Devices that one request of the API commands; more are refused. */
  commandAgentsMax: 1000,
  /** Commands that wait for a device's answer; more are refused, counted. */
  commandsWaitingMax: 10_000,
  /** Lines of a run's log in one answer; the rest is asked for with the last line's number. */
  logLinesMax: 1000,
  /** The same in characters: an answer travels as one message. */
  logPageCharsMax: 512 * KiB,
  /** Jobs that the report of a failed run names, nearest first; the others are not told. */
  affectedJobsMax: 100,
  /** Ended runs of one job that a device keeps, with tables and logs; the oldest go first. */
  batchRunsKeptMax: 200,
  batchRunsKeptMsMax: 30 * 86_400_000,
  /**
   * What batch jobs may take of the store's budget: beyond it ended runs go, oldest first; while
   * that does not help no run starts (`batch/store`). They write nothing into the last of it, so
   * that what comes in has its place, and when the store is full they give way down to `Floor`.
   */
  batchStoreShare: 0.25,
  batchStoreReserveShare: 0.05,
  batchStoreFloorShare: 0.05,
  /** One write of batch jobs; a larger one is refused where it is made, `write_too_large`. */
  batchWriteBytesMax: 32 * MiB,
  /** What of their writes goes into one commit; more waits for the next. */
  batchCommitBytesMax: 4 * MiB,
  /**
   * Files of batch jobs by default (tables, datasets, logs, scratch): beyond it ended runs go,
   * oldest first, never datasets; while that does not help no run starts (`batch/files`).
   */
  batchFilesBytesMax: 1024 * MiB,
  /** Completed partitions that a device remembers of one job; the earliest go first, counted. */
  batchPartitionsKeptMax: 20_000,
  /**
   * Versions of one job that a device keeps for reruns beside the desired one and those of open
   * runs; the oldest go, and runs of them cannot be run again, `version_gone`.
   */
  batchVersionsKeptMax: 10,
  /** How often a run that cannot be written is read again in one process; then it fails. */
  runReloadsMax: 3,
  /** Output of a task in its report; a larger one is `{ "truncated": true, "bytes" }` there. */
  taskOutputReportedBytesMax: 4 * KiB,
  /** Names of files and partitions in the output of `archive` and `purge`; more are not shown. */
  outputNamesMax: 100,
  /** Last of stderr in the error of a program that failed, and one line of it in the log; cut. */
  commandComplaintCharsMax: 2000,
  commandLogLineCharsMax: 1000,
  /** Until a server of a task answers; then the attempt fails (`network`). */
  taskConnectTimeoutMs: 10_000,
  /** Body of an answer to `load: http`, which nobody reads; a larger one fails the attempt. */
  loadAnswerBytesMax: 1 * MiB,
  /** Runs of one job that wait on a device; a time that would add one is counted, `queue_full`. */
  batchRunsQueuedMax: 1000,
  /** Answers to commands that a device remembers, for when one comes again; the oldest go. */
  batchCommandsKeptMax: 1000,
  batchCommandsKeptMsMax: 86_400_000,
  /** Partitions of one backfill; a range with more is refused. */
  backfillPartitionsMax: 10_000,
  /** Partitions that a backfill passed by and names; the rest is counted. */
  backfillSkippedNamedMax: 20,
  /** Log of one run, and one text in it; drop-newest, counted in its last line. */
  runLogBytesMax: 1 * MiB,
  runLogTextCharsMax: 16 * KiB,
  /** Of one run in memory until the disk has it; drop-newest, counted likewise. */
  runLogWaitingBytesMax: 256 * KiB,
  /** Logs of all runs of a device; those of the oldest runs go first. */
  runLogsBytesMax: 64 * MiB,
  /**
   * Cursors, and lists of measurements, of one task: one for each key and item. Those that were set
   * by the oldest runs go, counted as `batch_cursors_forgotten`; such an item reads from the start.
   */
  taskCursorsMax: 4096,
  /** Measurements that a task keeps for later runs (`quality`); the oldest go first. */
  taskHistoryMax: 1000,
  /** Dead rows of one attempt, and what they take as JSON; the rest is only counted. */
  taskDeadRowsMax: 1000,
  taskDeadRowsBytesMax: 8 * MiB,
  /** What an attempt has to end after it was told to; then it counts as ended. */
  attemptGraceMs: 10_000,
  /** HTTP request bodies of the API. */
  httpBodyBytesMax: 1 * MiB,
  /**
   * Rows that a task makes, as a file of JSON lines: bytes, columns, and bytes of one row; and the
   * rows that `results` of one attempt may send. More fails the attempt, class `resources`.
   */
  tableBytesMax: 1024 * MiB,
  tableColumnsMax: 1000,
  tableRowBytesMax: 4 * MiB,
  tableResultsMax: 10_000,
  /**
   * Value and key of one such row as JSON, so that it fits into a block, and all of one attempt's;
   * more fails the attempt, class `resources`.
   */
  resultRowBytesMax: 240 * KiB,
  taskResultsBytesMax: 16 * MiB,
  /**
   * Periods or partitions that one attempt of `archive` writes, and that it remembers; more fail
   * it (`resources`), of a dataset the rest goes with the next run. Space that it may spill to.
   */
  archivePeriodsMax: 400,
  archiveTempBytesMax: 512 * MiB,
  /** Rows shown in `tasks.<id>.output`; more rows, or more bytes as JSON: none are shown. */
  outputRowsMax: 1000,
  outputRowsBytesMax: 32 * KiB,
  /** The shortest `every` of a schedule or partition; a shorter one is refused with the job. */
  scheduleIntervalMsMin: 1000,
  /**
   * Runs that one catch-up after an outage starts; the newest are kept, the older ones counted as
   * `catch_up_max`.
   */
  scheduleCatchUpRunsMax: 1000,
  /**
   * Periods and groups that one attempt of a rollup holds; more: the attempt fails (`resources`).
   */
  rollupPeriodsMax: 1000,
  rollupGroupsMax: 100_000,
  /** Periods that a rollup remembers for its next run; more: the attempt fails (`resources`). */
  rollupPendingMax: 5000,
  /** Rows that a check `unique` can tell apart, 16 bytes each; more: the attempt fails. */
  uniqueRowsMax: 1_000_000,
  /** Measures of earlier partitions that one quality task keeps; the oldest go first. */
  qualityHistoryMax: 100,
  /** Partitions or files that one attempt of a purge deletes; the rest waits for the next. */
  purgeItemsMax: 10_000,
  /** Rows that a transform sorts in memory; more are sorted in parts on disk, and merged. */
  sortRowsMax: 10_000,
  sortCharsMax: 8 * MiB,
  /** States of earlier runs that `changes` keeps in its dataset; the oldest go first. */
  changesStatesMax: 32,
  /** Rows that `changes` compares at a time, as JSON; tables are divided into such parts. */
  changesBucketBytes: 4 * MiB,
  /**
   * Positions of deleted keys that a load of change events keeps by default; older ones are
   * forgotten, and a duplicate that comes later than that is taken for new.
   */
  deletedKeysMsMax: 30 * 86_400_000,
  /** Resident memory of the process in which SQLite works; beyond it the attempt fails. */
  sqliteMemoryBytesMax: 192 * MiB,
  /** Memory of the process of a check in SQL (`quality`); beyond it the attempt fails. */
  sqlCheckMemoryBytesMax: 256 * MiB,
  /** What it may spill to disk; more fails the attempt. */
  sqlCheckTempBytesMax: 512 * MiB,
  /** Rows that a failed check shows, and one of them as JSON; more are not shown, that is cut. */
  qualityExamplesMax: 5,
  qualityExampleCharsMax: 200,
  /** Files that one pattern of an extract task may name; more fail the attempt (`files_max`). */
  extractFilesMax: 10_000,
  /** A file of one JSON value, which is read whole; a larger one fails, `file_too_large`. */
  jsonFileBytesMax: 64 * MiB,
  /** A rollout in which nothing moved for this long needs a person: it is shown as stuck. */
  rolloutStuckAfterMs: 900_000,
  /** Rollouts of one job that are remembered; the oldest go first. */
  rolloutsPerJobMax: 100,
} as const;
