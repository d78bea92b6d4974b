"""A run before its first step: it is held back until all that has to be found out is known, then let go or refused."""

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.utils import timezone

from runs_app.models import PipelineRun, StepRun
from runs_app.recording.closing import UNPREPARED, close_unstarted, fail_unstarted
from runs_app.recording.graph import close_if_over, start
from runs_app.statements import ReadyStep
from zenweb.enums import ExecutionStatus


def hold_back(ready: Sequence[ReadyStep]) -> None:
    """Nobody takes these steps until their run's turn has come."""
    StepRun.objects.filter(pk__in=[step.id for step in ready]).update(ready_at=None)


@transaction.atomic
def let_go(run: PipelineRun) -> None:
    """All that had to be found out before its first step is known; its row is held."""
    now = timezone.now()
    held_back = PipelineRun.objects.unfinished().filter(pk=run.pk, is_prepared=False)
    if not held_back.update(is_prepared=True, updated=now):
        return
    if PipelineRun.objects.filter(pk=run.pk, queued_at=None).update(status_reason=""):
        start(run, now)


@transaction.atomic
def refuse(run: PipelineRun, refusals: Mapping[str, str]) -> None:
    """End a run before its first step, because of what was found out about these steps; its row is held."""
    now = timezone.now()
    steps = StepRun.objects.filter(run=run)
    for name, sentence in refusals.items():
        unstarted = steps.filter(name=name, status=ExecutionStatus.INITIALIZING)
        fail_unstarted(unstarted, "Refused", sentence, now)
    close_unstarted(steps, UNPREPARED, now)
    words = " ".join(f"Step {name} was not started: {sentence}" for name, sentence in refusals.items())
    close_if_over(run.pk, now, refusal=words[:2000])


@transaction.atomic
def refuse_whole(run: PipelineRun, reason: str) -> None:
    """End a run before its first step, because of what was found out about the whole of it; its row is held."""
    now = timezone.now()
    close_unstarted(StepRun.objects.filter(run=run), UNPREPARED, now)
    close_if_over(run.pk, now, refusal=reason[:2000])
