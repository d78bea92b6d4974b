"""What is written down while steps run: what they print and note, and what is told of them in the ledger."""

import uuid
from collections.abc import Collection

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from runs_app import statements
from runs_app.models import LogChunk, PipelineRun, RunEvent, StepAttempt, StepRun, Worker
from runs_app.recording.outcomes import LogPiece
from zenweb.execution.metadata import Noted

MOST_PIECES = 20_000  # of one log


def append_log(attempt: StepAttempt, text: str) -> None:
    LogChunk.objects.create(attempt=attempt, text=text)


def append_piece(attempt: StepAttempt, piece: LogPiece) -> None:
    """The next piece of a log that its caller tells; one that is there already, or too much, is left out."""
    known = StepAttempt.objects.filter(pk=attempt.pk, log_pieces=piece.number, log_pieces__lt=MOST_PIECES)
    length = known.values_list("log_length", flat=True).first()
    text = "" if length is None else piece.text[: max(settings.LOG_LIMIT - length, 0)]
    if text and known.update(log_pieces=F("log_pieces") + 1, log_length=F("log_length") + len(text)):
        append_log(attempt, text)


def show_metadata(attempt: StepAttempt, noted: Noted) -> None:
    """What the attempt has noted so far, for as long as it holds its step; its end records all of it."""
    StepRun.objects.held_in(attempt.step_id, attempt.number).update(metadata=noted)


def holds_its_step(attempt: StepAttempt) -> bool:
    return StepRun.objects.held_in(attempt.step_id, attempt.number).exists()


def attempts_to_stop(worker: Worker) -> list[uuid.UUID]:
    """Attempts of this worker that shall end: their run was asked to stop, or fails fast."""
    return statements.attempts_to_stop(worker.pk)


def note_once(run_ids: Collection[uuid.UUID], sentence: str, beginning: str = "") -> None:
    """A line that many steps or workers would write into the ledgers of these runs, where none is that begins so."""
    if not run_ids:
        return
    alike = RunEvent.objects.filter(run_id__in=run_ids, sentence__startswith=(beginning or sentence)[:2000])
    told = set(alike.values_list("run_id", flat=True))
    RunEvent.objects.bulk_create(
        RunEvent(run_id=run_id, sentence=sentence[:2000]) for run_id in run_ids if run_id not in told
    )


def renew_lease(run: PipelineRun) -> bool:
    """The caller of a local run still lives; False when the run is over."""
    renewed = PipelineRun.objects.unfinished().called_locally().filter(pk=run.pk)
    return bool(renewed.update(caller_beat=F("caller_beat") + 1))


def note_time_spent(run: PipelineRun, seconds: float) -> None:
    """So that whoever goes on counting after this worker knows."""
    PipelineRun.objects.filter(pk=run.pk, seconds_spent__lt=seconds).update(seconds_spent=seconds)


@transaction.atomic
def note_unserved(run_id: uuid.UUID, queue: str, sentence: str) -> None:
    """Steps of a queue that nobody serves say so, and their run's ledger does: once, however many housekeepers look."""
    silent = StepRun.objects.filter(run_id=run_id, queue=queue, ready_at__isnull=False, status_reason="")
    if silent.update(status_reason=sentence, updated=timezone.now()):
        RunEvent.objects.note(run_id, sentence)
