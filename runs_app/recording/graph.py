"""The graph moves on: steps are offered, runs end, and those that wait for a place of theirs begin."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from runs_app import caching, limits, metadata, statements
from runs_app.caching import Versions
from runs_app.lineage import steps_waiting_for, waiting_above
from runs_app.models import LogChunk, PipelineRun, RunCompilation, RunEvent, StepAttempt, StepRun, Worker
from runs_app.plans import may_retry, plan_of, retry_delay
from runs_app.querysets import HEAVY
from runs_app.recording.closing import (
    UNPREPARED,
    close_unstarted,
    close_what_waits_for,
    give_up,
    has_given_up,
)
from runs_app.recording.mapping import decide
from runs_app.recording.outcomes import StepOutcome
from runs_app.recording.outputs import keep_outputs
from runs_app.recording.unrun import (
    CACHED_REASON,
    end_as_cached,
    go_on,
    note_cached,
    ready_step,
)
from runs_app.recording.waking import announce, offer_freed_place, wake_for
from runs_app.statements import ReadyStep, RunAtItsEnd
from zenweb.enums import HELD_STATUSES, ConcurrencyPolicy, ExecutionStatus
from zenweb.execution.protocol import StepException

LOG_TAIL = 8_000
PREPARING = "Its choices are checked first."
COMPILING = "It is put together with its own parameters first."
MOST_ADMITTED = 10  # in one transaction; housekeeping goes on


# -- the end of an attempt --------------------------------------------------------------------------------------------


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
        is_recorded = _end(step, outcome, now)
    if is_recorded:
        _close_attempt(attempt, outcome, now)
        offer_freed_place(step.queue)
        if outcome.status is not ExecutionStatus.COMPLETED:
            _close_if_over(step.run_id, now)
    return is_recorded


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


def _end(step: StepRun, outcome: StepOutcome, now: datetime) -> bool:
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
        _advance(step, keep_outputs(step, outcome.outputs, now), now)
    else:
        close_what_waits_for(step, now)
        if step.mapped_index is not None and outcome.status is ExecutionStatus.FAILED:
            _advance(step, {}, now)  # its mapped step has one less to wait for
        if outcome.is_unprepared:
            steps = StepRun.objects.filter(run_id=step.run_id)
            close_unstarted(steps, UNPREPARED, now)
        if outcome.status is ExecutionStatus.FAILED:
            give_up(step.run, step.name, now)
    return True


def _reason(outcome: StepOutcome) -> str:
    if outcome.was_stopped:
        return "It was stopped."
    return _told(outcome.exception) if outcome.exception else ""


def _told(exception: StepException) -> str:
    """With its type: many messages say nothing without, such as that of `sys.exit(3)`."""
    return f"{exception.type}: {exception.message}"


def _advance(step: StepRun, known: Versions, now: datetime) -> None:
    """Let go of the steps that waited for this one: the one place where the graph moves on."""
    ready, is_any_open = statements.release_downstream(run_id=step.run_id, indexes=step.downstream, now=now)
    offer(step.run, ready, known, now, kept_by_this_worker=step.queue)
    # Only a step that nothing waits for (any more: it may have been closed) can be the last one.
    if not is_any_open:
        _close_if_over(step.run_id, now)


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
        _close_if_over(run.pk, now, may_admit)
    if kept_by_this_worker is None and queues and run.caller_beat is None:
        announce(run, queues)
    else:
        wake_for(run, queues, kept_by_this_worker)


def _retry(step: StepRun, exception: StepException, now: datetime) -> bool:
    delay = retry_delay(step.settings, step.failures)
    allowed = int(step.settings["retry"]["max_retries"]) + 1
    reason = f"Attempt {step.attempt} failed ({_told(exception)}); {step.failures + 2} of {allowed} follows."
    held = StepRun.objects.filter(pk=step.pk, attempt=step.attempt, status__in=HELD_STATUSES)
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


def _close_if_over(run_id: uuid.UUID, now: datetime, may_admit: bool = True, refusal: str = "") -> None:
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
    _close_if_over(run.pk, timezone.now())


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
    _close_if_over(run.pk, now)
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
    _close_if_over(run.pk, now, may_admit=False)


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
    _close_if_over(run.pk, now, refusal=reason[:2000])


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
    _close_if_over(run.pk, now, refusal=words[:2000])


def _start(run: PipelineRun, now: datetime, may_admit: bool = True) -> None:
    """Its first steps are ready; the cache may even end it here."""
    if StepRun.objects.filter(run=run, status=ExecutionStatus.CACHED).exists():
        go_on(run, now)  # a repair, which keeps these steps from its original
    first = StepRun.objects.filter(run=run, waits_for=0, status=ExecutionStatus.INITIALIZING)
    first.update(ready_at=now, updated=now)
    offer(run, [ready_step(step) for step in first], {}, now, may_admit=may_admit)
    if not run.steps.exists():
        _close_if_over(run.pk, now, may_admit=may_admit)


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


# -- the dead ---------------------------------------------------------------------------------------------------------


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
    held = StepRun.objects.filter(pk=step.pk, attempt=attempt.number, status__in=HELD_STATUSES)
    if not held.update(worker_deaths=deaths):
        return False  # it ended while this was being decided
    StepAttempt.objects.filter(pk=attempt.pk).update(
        status=ExecutionStatus.RETRIED, reason=reason[:2000], end_time=now, updated=now
    )
    if is_stopping:
        _end(step, StepOutcome(was_stopped=True), now)
    elif most_deaths is not None and deaths >= most_deaths:
        message = f"It was lost {deaths} times while it ran, the last time because {reason}."
        _end(
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
    _close_if_over(step.run_id, now)
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
        _end(step, StepOutcome(exception=lost), now)
    close_unstarted(StepRun.objects.filter(run=run), f"It was not started. {reason}", now)
    PipelineRun.objects.filter(pk=run.pk).update(
        status=ExecutionStatus.FAILED, status_reason=reason, end_time=now, updated=now, caller_beat=None
    )
    RunEvent.objects.note(run.pk, reason)
