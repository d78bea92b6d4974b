"""Steps that nobody starts any more are closed, with the reason."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Case, Q, Value, When

from runs_app.models import PipelineRun, StepRun
from zenweb.enums import HELD_STATUSES, OPEN_STATUSES, ExecutionMode, ExecutionStatus

UNPREPARED = "It was not started, because the run could not be prepared."


def close_unstarted(steps: Any, reason: str, now: datetime) -> None:
    """Close what no attempt holds; what was tried before goes on telling how that ended."""
    for step in steps.filter(status=ExecutionStatus.RETRYING).only("status_reason"):
        failure = step.status_reason.partition("; attempt ")[0][:1900]
        close_open(steps.filter(pk=step.pk), f"{failure}; no further attempt follows", now)
    close_open(steps, reason, now)


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
            f"It was not started, because step {name} did not complete.",
            now,
        )


def give_up(run: PipelineRun, failed: str, now: datetime) -> None:
    """A run that stops at its first failure starts nothing any more; one that fails fast ends what runs as well."""
    mode = run.execution_mode
    if mode == ExecutionMode.CONTINUE_ON_FAILURE:
        return
    steps = StepRun.objects.filter(run=run)
    close_unstarted(
        steps, f"It was not started: step {failed} failed, and the run stops at the first failure.", now
    )
    if mode == ExecutionMode.FAIL_FAST:
        steps.filter(status=ExecutionStatus.RUNNING).update(status=ExecutionStatus.STOPPING, updated=now)


def has_given_up(run: PipelineRun) -> bool:
    """Whether a step failed in a run that stops at the first failure."""
    return (
        run.execution_mode != ExecutionMode.CONTINUE_ON_FAILURE
        and StepRun.objects.filter(run_id=run.pk, status=ExecutionStatus.FAILED).exists()
    )


def close_open(steps: Any, reason: str, now: datetime) -> None:
    """A mapped step that was laid out is held by nobody either: its elements are."""
    is_held = Q(status__in=HELD_STATUSES, elements=None)
    partly = reason.replace("It was not started", "Not all of it was run", 1)
    steps.filter(status__in=OPEN_STATUSES).exclude(is_held).update(
        status=ExecutionStatus.STOPPED,
        status_reason=Case(When(elements=None, then=Value(reason)), default=Value(partly)),
        ready_at=None,
        delayed_until=None,
        end_time=now,
        updated=now,
    )
