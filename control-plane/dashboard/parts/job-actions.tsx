/** What an operator can do with a job: run it, fill a range, pause it, let it go on. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import { useApp, useMayOperate } from '../hooks.ts';
import { paths } from '../router.ts';
import { BackfillDialog } from './backfill-dialog.tsx';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { RunNowDialog } from './run-now-dialog.tsx';

type Asking = 'run' | 'backfill' | 'pause' | 'resume';

export function JobActions({
  job,
  onDone,
}: {
  job: JobDetail;
  onDone: () => void;
}): JSX.Element | null {
  const mayOperate = useMayOperate();
  const [asking, setAsking] = useState<Asking | null>(null);
  const isBatch = job.kind === 'BatchJob';
  const close = (): void => setAsking(null);
  if (!mayOperate && !isBatch) return null;
  return (
    <div class="actions">
      {isBatch ? (
        <a class="button" href={paths.jobRuns(job.name)}>
          Runs
        </a>
      ) : null}
      {mayOperate ? (
        <>
          <button
            type="button"
            class="button"
            onClick={() => setAsking(job.paused ? 'resume' : 'pause')}
          >
            {job.paused ? 'Resume…' : 'Pause…'}
          </button>
          {isBatch ? (
            <>
              <button type="button" class="button" onClick={() => setAsking('backfill')}>
                Backfill…
              </button>
              <button type="button" class="button primary" onClick={() => setAsking('run')}>
                Run now…
              </button>
            </>
          ) : null}
        </>
      ) : null}
      {asking === 'run' ? <RunNowDialog job={job} onClose={close} /> : null}
      {asking === 'backfill' ? <BackfillDialog job={job} onClose={close} /> : null}
      {asking === 'pause' || asking === 'resume' ? (
        <PauseDialog job={job} step={asking} onDone={onDone} onClose={close} />
      ) : null}
    </div>
  );
}

function PauseDialog({
  job,
  step,
  onDone,
  onClose,
}: {
  job: JobDetail;
  step: 'pause' | 'resume';
  onDone: () => void;
  onClose: () => void;
}): JSX.Element {
  const app = useApp();
  const act = async (): Promise<void> => {
    await (step === 'pause' ? app.api.pauseJob(job.name) : app.api.resumeJob(job.name));
    onDone();
  };
  return (
    <ConfirmDialog
      title={step === 'pause' ? `Pause ${job.name}?` : `Resume ${job.name}?`}
      confirm={step === 'pause' ? 'Pause' : 'Resume'}
      kind="primary"
      onConfirm={act}
      onClose={onClose}
    >
      {consequence(job, step)}
    </ConfirmDialog>
  );
}

function consequence({ kind }: JobDetail, step: 'pause' | 'resume'): string {
  if (step === 'resume')
    return 'It goes on wherever it is placed, as soon as each device hears of it.';
  return kind === 'BatchJob'
    ? 'No schedule starts a run on any device until it is resumed. Runs ' +
        'that have started go on, and times that pass meanwhile are counted ' +
        'as skipped. A device that is away hears of it when it is back.'
    : 'It stops on every device until it is resumed. What it had reached ' +
        'is kept. A device that is away hears of it when it is back.';
}
