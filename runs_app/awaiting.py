"""Steps that do nothing but wait for runs: what they hold meanwhile is there for others, for those runs first."""

import uuid

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from runs_app import recording
from runs_app.models import PipelineRun, StepAttempt, StepRun
from runs_app.recording import ALIVE

FOR_CHILD = "It waits for a run that it has started, and takes no slot meanwhile."
FOR_OTHER = "It waits for another run, and takes no slot meanwhile."


@transaction.atomic
def begin_to_wait(attempt: StepAttempt, run_id: uuid.UUID) -> None:
    """Note that the attempt waits for a run; what it has started itself goes before others from now on."""
    step, now = attempt.step, timezone.now()
    child = PipelineRun.objects.filter(pk=run_id, parent_step=step.pk).select_for_update(no_key=True)
    awaited = child.only("template_id", "queued_at").order_by().first()
    held = StepRun.objects.filter(pk=step.pk, attempt=attempt.number, status__in=ALIVE)
    reason = FOR_CHILD if awaited else FOR_OTHER
    if not held.update(waiting_since=now, status_reason=reason, updated=now) or awaited is None:
        return
    urgent = Greatest(F("priority"), Value(int(step.settings.get("priority") or 0) + 1))
    PipelineRun.objects.filter(pk=run_id).update(awaited_since=now, priority=urgent)
    StepRun.objects.unfinished().filter(run_id=run_id).update(priority=urgent)
    if (
        awaited.queued_at is not None
    ):  # its template runs only so many at once: those that wait for it are not counted
        recording.admit_waiting(awaited.template_id)


@transaction.atomic
def end_to_wait(attempt: StepAttempt, run_id: uuid.UUID, *, is_over: bool) -> None:
    """It waits for that run no longer. `is_over`: nor for any other."""
    now = timezone.now()
    PipelineRun.objects.filter(pk=run_id, parent_step=attempt.step_id).update(awaited_since=None)
    if is_over:
        held = StepRun.objects.filter(pk=attempt.step_id, attempt=attempt.number, status__in=ALIVE)
        held.update(waiting_since=None, status_reason="", updated=now)


def has_ready_step(queue: str) -> bool:
    """Whether there is anything to claim for who stands in for a step that waits."""
    return StepRun.objects.ready(timezone.now()).filter(queue=queue).order_by().exists()
