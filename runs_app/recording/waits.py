"""Steps that do nothing but wait for runs: what they hold meanwhile is there for others, for those runs first."""

import uuid
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from runs_app.awaiting import is_seen_by_starter, started_by
from runs_app.lineage import steps_waiting_for
from runs_app.models import PipelineRun, StepAttempt, StepRun
from runs_app.querysets import HEAVY
from runs_app.recording.graph import admit_waiting
from runs_app.recording.stopping import stop_unwanted
from zenweb.enums import HELD_STATUSES

FOR_CHILD = "It waits for a run that it has started, and takes no slot meanwhile."
FOR_OTHER = "It waits for another run, and takes no slot meanwhile."


@transaction.atomic
def begin_to_wait(attempt: StepAttempt, run_id: uuid.UUID) -> bool:
    """Note that the attempt waits for a run; what its own run has started goes before others from now on.

    False where that is no reason to give up its place: no such run goes on, or none that its starter may see.
    """
    step, now = attempt.step, timezone.now()
    going_on = PipelineRun.objects.unfinished().filter(pk=run_id).order_by()
    child = started_by(step, going_on).select_for_update(of=("self",), no_key=True)
    awaited = child.only("template_id", "queued_at", "parent_step").first()
    if awaited is None and not is_seen_by_starter(step.run, going_on):
        return False
    reason = FOR_CHILD if awaited and awaited.parent_step_id == step.pk else FOR_OTHER
    since = Coalesce(F("waiting_since"), Value(now))
    held = StepRun.objects.held_in(attempt.step_id, attempt.number)
    if not held.update(waiting_since=since, status_reason=reason, updated=now):
        return False
    if awaited is None:
        return True
    _put_first(awaited, int(step.settings.get("priority") or 0) + 1, now)
    # Both after this transaction: who holds the template may wait for this run, so never the other way round.
    if awaited.queued_at is not None:  # now it may start: those that wait for it do not count
        transaction.on_commit(partial(admit_waiting, awaited.template_id), robust=True)
    if PipelineRun.objects.filter(pk=step.run_id, stop_requested_at__isnull=False).exists():
        transaction.on_commit(stop_unwanted, robust=True)
    return True


def _put_first(awaited: PipelineRun, priority: int, now: datetime) -> None:
    """All of its steps go before that of whoever waits for it."""
    last = Greatest(Coalesce(F("awaited_since"), Value(now)), Value(now))
    urgent = Greatest(F("priority"), Value(priority))
    PipelineRun.objects.filter(pk=awaited.pk).update(awaited_since=last, priority=urgent)
    StepRun.objects.unfinished().filter(run_id=awaited.pk).update(priority=urgent)


@transaction.atomic
def end_to_wait(attempt: StepAttempt, run_id: uuid.UUID, *, is_over: bool) -> None:
    """It waits for that run no longer. `is_over`: nor for any other."""
    held = StepRun.objects.held_in(attempt.step_id, attempt.number)
    if not held.exists():
        return
    child = PipelineRun.objects.filter(pk=run_id).select_related("parent_step").defer(*HEAVY)
    for run in started_by(attempt.step, child):
        others = steps_waiting_for(run).filter(status__in=HELD_STATUSES).exclude(pk=attempt.step_id)
        if not others.exists():
            PipelineRun.objects.filter(pk=run_id).update(awaited_since=None)
    if is_over:
        held.update(waiting_since=None, status_reason="", updated=timezone.now())
