"""Runs are stopped: on request, because their time is up, for a newer one, or with the run that waits for them."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from runs_app.lineage import steps_waiting_for
from runs_app.models import PipelineRun, RunEvent, StepRun
from runs_app.querysets import HEAVY
from runs_app.recording.closing import close_unstarted
from runs_app.recording.graph import close_if_over, overdue
from zenweb.enums import HELD_STATUSES, ExecutionStatus


def request_stop(run: PipelineRun, by: str) -> bool:
    """Close what has not started, and have workers end what runs; False when it had ended, or was to stop anyway."""
    return ask_to_stop(run, f"{by} asked to stop the run.", ", because the run was stopped.")


def time_out(run: PipelineRun) -> None:
    """Stop a run whose time is up; it ends as failed."""
    ask_to_stop(run, overdue(run.timeout), ", because the run's time was up.", has_timed_out=True)


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
            ask_to_stop(child, sentence, ", because the run was stopped.")


@transaction.atomic
def ask_to_stop(run: PipelineRun, sentence: str, why: str, has_timed_out: bool = False) -> bool:
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
    close_unstarted(steps, why, now)
    steps.filter(status=ExecutionStatus.RUNNING).update(status=ExecutionStatus.STOPPING, updated=now)
    close_if_over(run.pk, now)
    # After this transaction: whoever holds a run holds no other.
    transaction.on_commit(stop_unwanted, robust=True)
    return True
