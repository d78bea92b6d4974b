"""Steps that do nothing but wait for runs: what they hold meanwhile is there for others, for those runs first."""

import uuid
from collections.abc import Sequence
from functools import partial

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from runs_app import recording
from runs_app.lineage import steps_waiting_for, with_originals
from runs_app.models import PipelineRun, StepAttempt, StepRun
from runs_app.querysets import HEAVY, PipelineRunQuerySet, StepRunQuerySet
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
    child = _started_by(step, going_on).select_for_update(of=("self",), no_key=True)
    awaited = child.only("template_id", "queued_at", "parent_step").first()
    if awaited is None and not _is_seen_by_starter(step.run, going_on):
        return False
    reason = FOR_CHILD if awaited and awaited.parent_step_id == step.pk else FOR_OTHER
    since = Coalesce(F("waiting_since"), Value(now))
    if not _held(attempt).update(waiting_since=since, status_reason=reason, updated=now):
        return False
    if awaited is None:
        return True
    last = Greatest(Coalesce(F("awaited_since"), Value(now)), Value(now))
    urgent = Greatest(F("priority"), Value(int(step.settings.get("priority") or 0) + 1))
    PipelineRun.objects.filter(pk=run_id).update(awaited_since=last, priority=urgent)
    StepRun.objects.unfinished().filter(run_id=run_id).update(priority=urgent)
    # Both after this transaction: who holds the template may wait for this run, so never the other way round.
    if (
        awaited.queued_at is not None
    ):  # its template runs only so many at once: those that wait are not counted
        transaction.on_commit(partial(recording.admit_waiting, awaited.template_id), robust=True)
    if PipelineRun.objects.filter(pk=step.run_id, stop_requested_at__isnull=False).exists():
        transaction.on_commit(recording.stop_unwanted, robust=True)
    return True


@transaction.atomic
def end_to_wait(attempt: StepAttempt, run_id: uuid.UUID, *, is_over: bool) -> None:
    """It waits for that run no longer. `is_over`: nor for any other."""
    held = _held(attempt)
    if not held.exists():
        return
    child = PipelineRun.objects.filter(pk=run_id).select_related("parent_step").defer(*HEAVY)
    for run in _started_by(attempt.step, child):
        others = steps_waiting_for(run).filter(status__in=HELD_STATUSES).exclude(pk=attempt.step_id)
        if not others.exists():
            PipelineRun.objects.filter(pk=run_id).update(awaited_since=None)
    if is_over:
        held.update(waiting_since=None, status_reason="", updated=timezone.now())


def has_ready_step(queues: Sequence[str], *, only_children: bool) -> bool:
    """Whether there is anything to claim for who stands in for a step that waits."""
    ready = StepRun.objects.ready(timezone.now()).filter(queue__in=queues).order_by()
    return (ready.filter(run__parent_step__isnull=False) if only_children else ready).exists()


def _held(attempt: StepAttempt) -> StepRunQuerySet:
    return StepRun.objects.filter(pk=attempt.step_id, attempt=attempt.number, status__in=HELD_STATUSES)


def _started_by(step: StepRun, runs: PipelineRunQuerySet) -> PipelineRunQuerySet:
    """By any step of its run, or of those that it repairs."""
    return runs.filter(parent_step__run__in=with_originals(step.run))


def _is_seen_by_starter(run: PipelineRun, others: PipelineRunQuerySet) -> bool:
    user = run.user
    if user is None:
        return False
    user.api_key_in_use = run.bound_key
    return others.visible_to(user).exists()
