"""An attempt ends: for good, or so that its step is tried again."""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from runs_app import metadata, statements
from runs_app.models import LogChunk, StepAttempt, StepRun
from runs_app.plans import may_retry, retry_delay
from runs_app.recording.closing import (
    UNPREPARED,
    close_unstarted,
    close_what_waits_for,
    give_up,
    has_given_up,
)
from runs_app.recording.graph import advance, close_if_over
from runs_app.recording.outcomes import LOG_TAIL, StepOutcome
from runs_app.recording.outputs import keep_outputs
from runs_app.recording.waking import offer_freed_place
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import StepException


@transaction.atomic
def record_end(attempt: StepAttempt, outcome: StepOutcome) -> bool:
    """Record how an attempt ended and let the graph advance: the one place where either happens.

    False when the attempt no longer holds its step (it was given to another worker): nothing is written then.
    """
    now = timezone.now()
    step = attempt.step
    is_stopping = statements.lock_run(step.run_id)
    is_worth_it = may_retry(step) and not outcome.is_unprepared
    if outcome.exception and is_worth_it and not is_stopping and not has_given_up(step.run):
        is_recorded = _retry(step, outcome.exception, now)
    else:
        is_recorded = end_step(step, outcome, now)
    if is_recorded:
        _close_attempt(attempt, outcome, now)
        offer_freed_place(step.queue)
        if outcome.status is not ExecutionStatus.COMPLETED:
            close_if_over(step.run_id, now)
    return is_recorded


def end_step(step: StepRun, outcome: StepOutcome, now: datetime) -> bool:
    """End the step for good, if its attempt still holds it, and let the steps after it go, or close them."""
    exception = outcome.exception
    if not statements.end_step(
        step_id=step.id,
        attempt=step.attempt,
        status=outcome.status,
        reason=_reason(outcome)[:2000],
        exception=exception.model_dump(exclude={"version"}) if exception else None,
        metadata=outcome.metadata,
        started_at=outcome.started_at,
        ended_at=outcome.ended_at(now),
        now=now,
    ):
        return False
    if outcome.run_metadata:
        metadata.add_from_step(step, outcome.run_metadata)
    if outcome.status is ExecutionStatus.COMPLETED:
        advance(step, keep_outputs(step, outcome.outputs, now), now)
    else:
        close_what_waits_for(step, now)
        if step.mapped_index is not None and outcome.status is ExecutionStatus.FAILED:
            advance(step, {}, now)  # its mapped step has one less to wait for
        if outcome.is_unprepared:
            steps = StepRun.objects.filter(run_id=step.run_id)
            close_unstarted(steps, UNPREPARED, now)
        if outcome.status is ExecutionStatus.FAILED:
            give_up(step.run, step.name, now)
    return True


def _retry(step: StepRun, exception: StepException, now: datetime) -> bool:
    delay = retry_delay(step.settings, step.failures)
    allowed = int(step.settings["retry"]["max_retries"]) + 1
    reason = f"Attempt {step.attempt} failed ({_told(exception)}); {step.failures + 2} of {allowed} follows."
    held = StepRun.objects.held_in(step.pk, step.attempt)
    return bool(
        held.update(
            status=ExecutionStatus.RETRYING,
            status_reason=reason[:2000],
            failures=F("failures") + 1,
            exception=exception.model_dump(exclude={"version"}),
            metadata={},
            worker=None,
            waiting_since=None,
            ready_at=now,
            delayed_until=now + delay if delay else None,
            updated=now,
        )
    )


def _close_attempt(attempt: StepAttempt, outcome: StepOutcome, now: datetime) -> None:
    statements.end_attempt(
        attempt_id=attempt.id,
        status=outcome.status,
        reason=_told(outcome.exception)[:2000] if outcome.exception else "",
        started_at=outcome.started_at,
        log_uri=outcome.log_uri,
        log_tail=outcome.log_tail[-LOG_TAIL:],
        ended_at=outcome.ended_at(now),
        now=now,
    )
    if outcome.was_shown_live:
        LogChunk.objects.filter(attempt=attempt).delete()


def _reason(outcome: StepOutcome) -> str:
    if outcome.was_stopped:
        return "It was stopped."
    return _told(outcome.exception) if outcome.exception else ""


def _told(exception: StepException) -> str:
    """With its type: many messages say nothing without, such as that of `sys.exit(3)`."""
    return f"{exception.type}: {exception.message}"
