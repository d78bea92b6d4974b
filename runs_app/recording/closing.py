"""Steps that nobody starts any more are closed, or fail, with the reason."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from django.db.models import Case, F, Q, Value, When

from runs_app.models import PipelineRun, StepAttempt, StepRun
from runs_app.querysets import StepRunQuerySet
from zenweb.enums import HELD_STATUSES, ExecutionMode, ExecutionStatus
from zenweb.execution.protocol import StepException

UNPREPARED = ", because the run could not be prepared."


def close_unstarted(steps: StepRunQuerySet, why: str, now: datetime) -> None:
    """Close what no attempt holds; what was tried before tells how that ended. `why` follows "It was not started"."""
    tried = steps.filter(status=ExecutionStatus.RETRYING).order_by()
    latest = StepAttempt.objects.filter(step__in=tried, number=F("step__attempt"))
    for attempt in latest.only("step", "number", "status", "reason"):
        reason = f"{_how_it_ended(attempt)[:1900]}; no further attempt follows"
        _close_open(steps.filter(pk=attempt.step_id), now, reason)
    _close_open(steps, now, f"It was not started{why}", laid_out=f"Not all of it was run{why}")


def close_skipped(steps: StepRunQuerySet, reason: str, now: datetime) -> None:
    """Close what a condition keeps from running."""
    _close_open(steps, now, reason, is_skipped=True)


def _how_it_ended(attempt: StepAttempt) -> str:
    if attempt.status == ExecutionStatus.RETRIED:  # with its worker, which is no failure
        return attempt.reason
    return f"Attempt {attempt.number} failed ({attempt.reason})"


def _close_open(
    steps: StepRunQuerySet, now: datetime, reason: str, laid_out: str = "", is_skipped: bool | None = None
) -> None:
    """`laid_out`: what a mapped step tells that was. Nobody holds that either: its elements are held."""
    is_held = Q(status__in=HELD_STATUSES, elements=None)
    words = Case(When(elements=None, then=Value(reason)), default=Value(laid_out or reason))
    steps.unfinished().exclude(is_held).update(
        status=ExecutionStatus.STOPPED,
        status_reason=words,
        is_skipped=is_skipped,
        ready_at=None,
        delayed_until=None,
        end_time=now,
        updated=now,
    )


def fail_unstarted(steps: StepRunQuerySet, kind: str, sentence: str, now: datetime) -> bool:
    """Have steps fail that nobody has run, with an exception of this kind; whether there were any."""
    exception = StepException(type=kind, message=sentence, traceback="")
    failed = steps.update(
        status=ExecutionStatus.FAILED,
        status_reason=f"It was not started. {sentence}"[:2000],
        exception=exception.model_dump(exclude={"version"}),
        ready_at=None,
        end_time=now,
        updated=now,
    )
    return bool(failed)


def close_what_waits_for(step: StepRun, now: datetime) -> None:
    """Steps that can never start now are closed with the reason; steps that do not depend on this one go on.

    So do the other elements of a mapped step, and so does that step until they are over.
    """
    close_downstream(step.run, step.name, step.downstream, now, but=step.mapped_index)


def close_downstream(
    run: PipelineRun, name: str, downstream: Sequence[int], now: datetime, but: int | None = None
) -> None:
    steps = StepRun.objects.filter(run=run)
    graph = dict(steps.filter(mapped_index=None).values_list("index", "downstream"))
    unreachable: set[int] = set()
    following = deque(downstream)
    while following:
        if (index := following.popleft()) not in unreachable:
            unreachable.add(index)
            following.extend(graph[index])
    unreachable.discard(-1 if but is None else but)
    if unreachable:
        close_unstarted(
            steps.filter(index__in=unreachable),
            f", because step {name} did not complete.",
            now,
        )


def give_up(run: PipelineRun, failed: str, now: datetime) -> None:
    """A run that stops at its first failure starts nothing any more; one that fails fast ends what runs as well."""
    mode = run.execution_mode
    if mode == ExecutionMode.CONTINUE_ON_FAILURE:
        return
    steps = StepRun.objects.filter(run=run)
    close_unstarted(steps, f": step {failed} failed, and the run stops at the first failure.", now)
    if mode == ExecutionMode.FAIL_FAST:
        steps.filter(status=ExecutionStatus.RUNNING).update(status=ExecutionStatus.STOPPING, updated=now)


def has_given_up(run: PipelineRun) -> bool:
    """Whether a step failed in a run that stops at the first failure."""
    return (
        run.execution_mode != ExecutionMode.CONTINUE_ON_FAILURE
        and StepRun.objects.filter(run_id=run.pk, status=ExecutionStatus.FAILED).exists()
    )
