"""The graph moves on: steps are offered, runs end, and those that wait for a place of theirs begin."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from runs_app import caching, limits, statements
from runs_app.caching import Versions
from runs_app.lineage import steps_waiting_for, waiting_above
from runs_app.models import PipelineRun, RunCompilation, RunEvent, StepRun
from runs_app.plans import plan_of
from runs_app.querysets import HEAVY
from runs_app.recording.closing import (
    UNPREPARED,
    close_unstarted,
)
from runs_app.recording.mapping import decide
from runs_app.recording.unrun import (
    CACHED_REASON,
    end_as_cached,
    go_on,
    note_cached,
    ready_step,
)
from runs_app.recording.waking import announce, wake_for
from runs_app.statements import ReadyStep, RunAtItsEnd
from zenweb.enums import HELD_STATUSES, ConcurrencyPolicy, ExecutionStatus
from zenweb.execution.protocol import StepException

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
        note_cached(run, cached, now)
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
        return ExecutionStatus.FAILED, _overdue(run.timeout)
    if run.is_stopped:
        return ExecutionStatus.STOPPED, run.status_reason or "It was stopped on request."
    if run.failed_step is not None:
        others = run.failed_steps - 1
        more = f", and {others} other{'s' if others > 1 else ''}" if others else ""
        return ExecutionStatus.FAILED, f"Step {run.failed_step} failed{more}: {run.failure}"[:2000]
    return ExecutionStatus.COMPLETED, ""


def _overdue(timeout: float | None) -> str:
    return f"The run took longer than its limit of {timeout:g} s."


# -- stopping ---------------------------------------------------------------------------------------------------------


def request_stop(run: PipelineRun, by: str) -> bool:
    """Close what has not started, and have workers end what runs; False when it had ended, or was to stop anyway."""
    return _ask_to_stop(
        run, f"{by} asked to stop the run.", "It was not started, because the run was stopped."
    )


def time_out(run: PipelineRun) -> None:
    """Stop a run whose time is up; it ends as failed."""
    _ask_to_stop(
        run, _overdue(run.timeout), "It was not started, because the run's time was up.", has_timed_out=True
    )


@transaction.atomic
def _ask_to_stop(run: PipelineRun, sentence: str, unstarted: str, has_timed_out: bool = False) -> bool:
    now = timezone.now()
    locked = (
        PipelineRun.objects.select_for_update(of=("self",), no_key=True)
        .only("status", "stop_requested_at")
        .get(pk=run.pk)
    )
    if locked.is_finished or locked.stop_requested_at is not None:
        return False
    PipelineRun.objects.filter(pk=run.pk).update(
        stop_requested_at=now,
        status=ExecutionStatus.STOPPING,
        status_reason=sentence,
        has_timed_out=has_timed_out,
        updated=now,
    )
    RunEvent.objects.note(run.pk, sentence)
    steps = StepRun.objects.filter(run=run)
    close_unstarted(steps, unstarted, now)
    steps.filter(status=ExecutionStatus.RUNNING).update(status=ExecutionStatus.STOPPING, updated=now)
    close_if_over(run.pk, now)
    # After this transaction: whoever holds a run holds no other.
    transaction.on_commit(stop_unwanted, robust=True)
    return True


def stop_unwanted() -> None:
    """With a run end those that it waits for: nobody wants what they come to. Others that it has started go on.

    Housekeeping asks for it too: a wait may become known only after the stop, and whoever stopped may have died since.
    """
    is_stopping = Q(parent_step__run__stop_requested_at__isnull=False)
    is_repair_stopping = Q(parent_step__run__repairs__stop_requested_at__isnull=False)
    awaited = PipelineRun.objects.unfinished().filter(awaited_since__isnull=False, stop_requested_at=None)
    concerned = awaited.filter(is_stopping | is_repair_stopping).select_related("parent_step").defer(*HEAVY)
    for child in concerned:
        waiting = steps_waiting_for(child)
        wanted = waiting.filter(status__in=HELD_STATUSES, run__stop_requested_at=None)
        if waiting.exists() and not wanted.exists():
            sentence = "It was stopped together with the run that waited for it."
            _ask_to_stop(child, sentence, "It was not started, because the run was stopped.")


# -- templates that run only so many at once --------------------------------------------------------------------------


def skip(run: PipelineRun, reason: str) -> None:
    """End a run that was accepted only to be told that it does not run; its template's row is held."""
    now = timezone.now()
    run.status, run.status_reason, run.stop_requested_at, run.end_time = (
        ExecutionStatus.STOPPED,
        reason,
        now,
        now,
    )
    PipelineRun.objects.filter(pk=run.pk).update(stop_requested_at=now, status_reason=reason)
    RunEvent.objects.note(run.pk, reason)
    close_unstarted(StepRun.objects.filter(run=run), "It was not started, because the run was not.", now)
    close_if_over(run.pk, now, may_admit=False)


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
    _start(run, now, may_admit=False)


@transaction.atomic
def let_go(run: PipelineRun) -> None:
    """All that had to be found out before its first step is known; its row is held."""
    now = timezone.now()
    held_back = PipelineRun.objects.unfinished().filter(pk=run.pk, is_prepared=False)
    if not held_back.update(is_prepared=True, updated=now):
        return
    if PipelineRun.objects.filter(pk=run.pk, queued_at=None).update(status_reason=""):
        _start(run, now)


@transaction.atomic
def refuse_whole(run: PipelineRun, reason: str) -> None:
    """End a run before its first step, because of what was found out about the whole of it; its row is held."""
    now = timezone.now()
    close_unstarted(StepRun.objects.filter(run=run), UNPREPARED, now)
    close_if_over(run.pk, now, refusal=reason[:2000])


@transaction.atomic
def refuse(run: PipelineRun, refusals: Mapping[str, str]) -> None:
    """End a run before its first step, because of what was found out about these steps; its row is held."""
    now = timezone.now()
    steps = StepRun.objects.filter(run=run)
    for name, sentence in refusals.items():
        exception = StepException(type="Refused", message=sentence, traceback="")
        steps.filter(name=name, status=ExecutionStatus.INITIALIZING).update(
            status=ExecutionStatus.FAILED,
            status_reason=f"It was not started. {sentence}"[:2000],
            exception=exception.model_dump(exclude={"version"}),
            ready_at=None,
            end_time=now,
            updated=now,
        )
    close_unstarted(steps, UNPREPARED, now)
    words = " ".join(f"Step {name} was not started: {sentence}" for name, sentence in refusals.items())
    close_if_over(run.pk, now, refusal=words[:2000])


def _start(run: PipelineRun, now: datetime, may_admit: bool = True) -> None:
    """Its first steps are ready; the cache may even end it here."""
    if StepRun.objects.filter(run=run, status=ExecutionStatus.CACHED).exists():
        go_on(run, now)  # a repair, which keeps these steps from its original
    first = StepRun.objects.filter(run=run, waits_for=0, status=ExecutionStatus.INITIALIZING)
    first.update(ready_at=now, updated=now)
    offer(run, [ready_step(step) for step in first], {}, now, may_admit=may_admit)
    if not run.steps.exists():
        close_if_over(run.pk, now, may_admit=may_admit)


def make_room(template_id: uuid.UUID) -> None:
    """Where a newer run takes an older one's place, only the newest stay: the others are asked to stop.

    Each in a transaction of its own: whoever holds a run may wait for its template, so never the other way round.
    """
    limit = limits.limit_of(template_id)
    if limit is None or limit.policy is not ConcurrencyPolicy.CANCEL:
        return
    open_runs = PipelineRun.objects.unfinished().filter(template_id=template_id, stop_requested_at=None)
    newest_first = list(open_runs.order_by("-index").only("name"))
    for run in newest_first[limit.most :]:
        reason = f"Run {newest_first[0].name} took its place: {limit.stored_words}."
        _ask_to_stop(run, reason, "It was not started, because a newer run took the place of this one.")


def admit_forgotten() -> None:
    """Whatever happened to those who should have done it: nobody waits while there is room, or for what may end."""
    for template_id in list(
        PipelineRun.objects.queued().order_by().values_list("template_id", flat=True).distinct()
    ):
        if template_id is not None:
            make_room(template_id)
        admit_waiting(template_id)


def hold_back(ready: Sequence[ReadyStep]) -> None:
    """Nobody takes these steps until their run's turn has come."""
    StepRun.objects.filter(pk__in=[step.id for step in ready]).update(ready_at=None)


@transaction.atomic
def note_unserved(run_id: uuid.UUID, queue: str, sentence: str) -> None:
    """Steps of a queue that nobody serves say so, and their run's ledger does: once, however many housekeepers look."""
    silent = StepRun.objects.filter(run_id=run_id, queue=queue, ready_at__isnull=False, status_reason="")
    if silent.update(status_reason=sentence, updated=timezone.now()):
        RunEvent.objects.note(run_id, sentence)
