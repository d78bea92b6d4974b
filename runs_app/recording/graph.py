"""The graph moves on: steps are offered, runs end, and those that wait for a place of theirs begin."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from runs_app import caching, limits, statements
from runs_app.caching import Versions
from runs_app.lineage import waiting_above
from runs_app.models import PipelineRun, RunCompilation, RunEvent, StepRun
from runs_app.plans import plan_of
from runs_app.querysets import HEAVY
from runs_app.recording.mapping import decide
from runs_app.recording.unrun import CACHED_REASON, end_as_cached, go_on, note_ended, ready_step
from runs_app.recording.waking import announce, wake_for
from runs_app.statements import ReadyStep, RunAtItsEnd
from zenweb.enums import ExecutionStatus

PREPARING = "Its choices are checked first."
COMPILING = "It is put together with its own parameters first."
MOST_ADMITTED = 10  # in one transaction; housekeeping goes on


def advance(step: StepRun, known: Versions, now: datetime) -> None:
    """Let go of the steps that waited for this one: the one place where the graph moves on."""
    ready, is_any_open = statements.release_downstream(run_id=step.run_id, indexes=step.downstream, now=now)
    offer(step.run, ready, known, now, kept_by_this_worker=step.queue)
    # Only a step that nothing waits for (any more: it may have been closed) can be the last one.
    if not is_any_open:
        close_if_over(step.run_id, now)


def offer(
    run: PipelineRun,
    ready: Sequence[ReadyStep],
    known: Versions,
    now: datetime,
    kept_by_this_worker: str | None = None,
    may_admit: bool = True,
) -> None:
    """Steps wait for nothing any more: those that ran before are over, and so on with what follows.

    The one place where a step is taken from the cache, skipped, or laid out in elements; workers get the rest. `known`
    are artifact versions of this run, to save asking.
    """
    queues, cached, decided = list[str](), list[str](), 0
    while ready:
        following = list[ReadyStep]()
        if plan_of(run.deployment_id).decides_while_it_runs:
            asked, (ready, following) = ready, decide(run, ready, now)
            decided += len(asked)
        reused = caching.find_reusable(run, ready, known)
        queues += [step.queue for step in ready if step.id not in reused]
        ended = [step for step in ready if step.id in reused]
        cached += [step.name for step in ended]
        known = known | {
            (step.name, name): version for step in ended for name, version in reused[step.id].items()
        }
        ready = end_as_cached(run, ended, reused, CACHED_REASON, now) if ended else []
        ready += following
    if cached:
        note_ended(run, "Taken from the cache", cached, now)
    if cached or decided:
        close_if_over(run.pk, now, may_admit)
    if kept_by_this_worker is None and queues and run.caller_beat is None:
        announce(run, queues)
    else:
        wake_for(run, queues, kept_by_this_worker)


def close_if_over(run_id: uuid.UUID, now: datetime, may_admit: bool = True, refusal: str = "") -> None:
    """A run has ended only when no step is open: the one place where a run ends, and its place becomes free.

    `refusal`: why it failed before its first step.
    """
    run = statements.run_at_its_end(run_id)
    if run is None:
        return
    status, reason = (ExecutionStatus.FAILED, refusal) if refusal else _final_word(run)
    if statements.end_run(run_id, status=status, reason=reason, now=now):
        RunEvent.objects.note(run_id, f"The run ended: {status.value}.")
        # Never for a run that was waiting itself: it held no place, and whoever holds the template may wait for it.
        if may_admit and run.limited_by is not None and not run.was_queued:
            admit_waiting(run.limited_by)


def end_empty_run(run: PipelineRun) -> None:
    """A pipeline without steps has nothing to wait for."""
    close_if_over(run.pk, timezone.now())


def _final_word(run: RunAtItsEnd) -> tuple[ExecutionStatus, str]:
    if run.has_timed_out:
        return ExecutionStatus.FAILED, overdue(run.timeout)
    if run.is_stopped:
        return ExecutionStatus.STOPPED, run.status_reason or "It was stopped on request."
    if run.failed_step is not None:
        others = run.failed_steps - 1
        more = f", and {others} other{'s' if others > 1 else ''}" if others else ""
        return ExecutionStatus.FAILED, f"Step {run.failed_step} failed{more}: {run.failure}"[:2000]
    return ExecutionStatus.COMPLETED, ""


def overdue(timeout: float | None) -> str:
    return f"The run took longer than its limit of {timeout:g} s."


@transaction.atomic
def admit_waiting(template_id: uuid.UUID | None) -> None:
    """Give the free places of a template to the runs that wait for one: the one place where they stop waiting.

    In the transaction in which a place becomes free; and for whatever else makes room, such as a raised limit, by
    housekeeping. Runs whose template is gone or limits them no more all go on.
    """
    limit = limits.hold_limit(template_id) if template_id is not None else None
    waiting = (
        PipelineRun.objects.queued().filter(template_id=template_id).defer(*HEAVY).select_related("stack")
    )
    for _ in range(MOST_ADMITTED):
        if (run := _next_to_admit(waiting, limit)) is None:
            return
        _admit(run)


def _next_to_admit(waiting: Any, limit: limits.Limit | None) -> PipelineRun | None:
    """The first in the order of those that wait; with no place left, one that those who hold them wait for themselves.

    Else a run whose step waits for another run of the same template would keep that one from ever starting.
    """
    if limit is None or limit.free_places() > 0:
        found: PipelineRun | None = waiting.first()
        return found
    for run in waiting.filter(awaited_since__isnull=False):
        if limit.free_places(beside=waiting_above(run)) > 0:
            awaited: PipelineRun = run
            return awaited
    return None


def _admit(run: PipelineRun) -> None:
    """From now on it holds a place; without anything to find out before, its first steps are ready."""
    now = timezone.now()
    still_waiting = PipelineRun.objects.queued().filter(pk=run.pk).order_by()
    if not still_waiting.update(queued_at=None, status_reason="", updated=now):
        return  # it was stopped while this was being decided
    RunEvent.objects.note(run.pk, "Its turn has come.")
    # Read under the row's lock, which the update took: whoever prepares the run sees that it has its place, or this
    # sees that it is prepared.
    is_compiled = not RunCompilation.objects.filter(run=run, is_open=True).exists()
    reason = PREPARING if is_compiled else COMPILING
    if PipelineRun.objects.filter(pk=run.pk, is_prepared=False).update(status_reason=reason):
        return
    # What it frees by ending at once is given away by the loop around this.
    start(run, now, may_admit=False)


def start(run: PipelineRun, now: datetime, may_admit: bool = True) -> None:
    """Its first steps are ready; the cache may even end it here."""
    if StepRun.objects.filter(run=run, status=ExecutionStatus.CACHED).exists():
        go_on(run, now)  # a repair, which keeps these steps from its original
    first = StepRun.objects.filter(run=run, waits_for=0, status=ExecutionStatus.INITIALIZING)
    first.update(ready_at=now, updated=now)
    offer(run, [ready_step(step) for step in first], {}, now, may_admit=may_admit)
    if not run.steps.exists():
        close_if_over(run.pk, now, may_admit=may_admit)
