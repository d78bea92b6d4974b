"""The dead: workers whose steps are given to others, and callers of local runs that have gone silent."""

import uuid
from collections.abc import Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from runs_app import limits, statements
from runs_app.models import PipelineRun, RunEvent, StepAttempt, StepRun, Worker
from runs_app.recording.closing import close_unstarted, has_given_up
from runs_app.recording.ending import end_step
from runs_app.recording.graph import close_if_over
from runs_app.recording.outcomes import StepOutcome
from runs_app.recording.waking import offer_freed_place, wake_for
from zenweb.enums import HELD_STATUSES, ExecutionStatus
from zenweb.execution.protocol import StepException


@transaction.atomic
def bury_worker(worker: Worker, reason: str, most_deaths: int | None, beat: int | None = None) -> bool:
    """Declare a worker dead and give its steps to others: the one place where the dead are dealt with.

    With `beat`, only if the worker's counter still stands there: one that moved on is alive. `most_deaths` is how
    often a step may lose its worker before it fails; None where the worker ends as planned, which is nobody's fault.
    """
    alive = Worker.objects.filter(pk=worker.pk, is_alive=True)
    if beat is not None:
        alive = alive.filter(beat=beat)
    if not alive.update(is_alive=False, ended_reason=reason, updated=timezone.now()):
        return False
    attempts = open_attempts(worker)
    # First all runs, then all templates: whoever ends one run holds it before it asks for its template.
    for run_id in sorted({attempt.step.run_id for attempt in attempts}):
        statements.lock_run(run_id)
    limits.hold_limits_of([attempt.step.run_id for attempt in attempts])
    for attempt in attempts:
        give_back(attempt, f"worker {worker.name} {reason}", most_deaths)
    return True


def open_attempts(worker: Worker) -> Sequence[StepAttempt]:
    """The attempts that this worker's row holds."""
    held = StepRun.objects.held_by(worker.pk)
    return list(
        StepAttempt.objects.filter(
            step__in=held, worker=worker, status__in=HELD_STATUSES, number=F("step__attempt")
        )
        .select_related("step__run")
        .order_by("step__run_id")
    )


@transaction.atomic
def give_back(attempt: StepAttempt, reason: str, most_deaths: int | None) -> bool:
    """An attempt lost with its worker is no failure of the step; too many of them are. False when it had ended."""
    now = timezone.now()
    step = attempt.step
    is_stopping = statements.lock_run(step.run_id) or has_given_up(step.run)
    deaths = step.worker_deaths + (0 if most_deaths is None else 1)
    held = StepRun.objects.held_in(attempt.step_id, attempt.number)
    if not held.update(worker_deaths=deaths):
        return False  # it ended while this was being decided
    StepAttempt.objects.filter(pk=attempt.pk).update(
        status=ExecutionStatus.RETRIED, reason=reason[:2000], end_time=now, updated=now
    )
    if is_stopping:
        end_step(step, StepOutcome(was_stopped=True), now)
    elif most_deaths is not None and deaths >= most_deaths:
        message = f"It was lost {deaths} times while it ran, the last time because {reason}."
        end_step(
            step, StepOutcome(exception=StepException(type="WorkerDied", message=message, traceback="")), now
        )
    else:
        held.update(
            status=ExecutionStatus.RETRYING,
            status_reason=f"{reason}; attempt {step.attempt + 1} follows"[:2000],
            metadata={},
            worker=None,
            waiting_since=None,
            ready_at=now,
            updated=now,
        )
        wake_for(step.run, [step.queue])
    offer_freed_place(step.queue)
    close_if_over(step.run_id, now)
    return True


@transaction.atomic
def fail_abandoned_run(run_id: uuid.UUID, beat: int) -> None:
    """End a run of the local stack whose caller has gone silent, if its counter still stands there."""
    now = timezone.now()
    run = (
        PipelineRun.objects.select_for_update(of=("self",), no_key=True)
        .only("status", "caller_beat", "execution_mode", "deployment_id")
        .get(pk=run_id)
    )
    if run.is_finished or run.caller_beat != beat:
        return
    reason = "The process that ran it stopped reporting."
    lost = StepException(type="CallerLost", message=reason, traceback="")
    for step in StepRun.objects.filter(run=run, status__in=HELD_STATUSES):
        StepAttempt.objects.filter(step=step, status__in=HELD_STATUSES).update(
            status=ExecutionStatus.FAILED, reason=reason, end_time=now, updated=now
        )
        end_step(step, StepOutcome(exception=lost), now)
    close_unstarted(StepRun.objects.filter(run=run), f". {reason}", now)
    PipelineRun.objects.filter(pk=run.pk).update(
        status=ExecutionStatus.FAILED, status_reason=reason, end_time=now, updated=now, caller_beat=None
    )
    RunEvent.objects.note(run.pk, reason)
