"""Templates that run only so many at once: what becomes of a run that finds no place."""

import uuid

from django.utils import timezone

from runs_app import limits
from runs_app.models import PipelineRun, RunEvent, StepRun
from runs_app.recording.closing import close_unstarted
from runs_app.recording.graph import admit_waiting, close_if_over
from runs_app.recording.stopping import ask_to_stop
from zenweb.enums import ConcurrencyPolicy, ExecutionStatus


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
        ask_to_stop(run, reason, ", because a newer run took the place of this one.")


def skip(run: PipelineRun, reason: str) -> None:
    """End a run that was accepted only to be told that it does not run; its template's row is held."""
    now = timezone.now()
    run.status, run.status_reason = ExecutionStatus.STOPPED, reason
    run.stop_requested_at = run.end_time = now
    PipelineRun.objects.filter(pk=run.pk).update(stop_requested_at=now, status_reason=reason)
    RunEvent.objects.note(run.pk, reason)
    close_unstarted(StepRun.objects.filter(run=run), ", because the run was not.", now)
    close_if_over(run.pk, now, may_admit=False)


def admit_forgotten() -> None:
    """Whatever happened to those who should have done it: nobody waits while there is room, or for what may end."""
    for template_id in list(
        PipelineRun.objects.queued().order_by().values_list("template_id", flat=True).distinct()
    ):
        if template_id is not None:
            make_room(template_id)
        admit_waiting(template_id)
