"""Looks at what runs wait for before their first step; a run that it fails at keeps no other waiting for long."""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from runs_app import recording, statements
from runs_app.models import PipelineRun, RunEvent
from runs_app.querysets import AwaitedQuerySet

logger = logging.getLogger(__name__)
MOST_SETTLED = 200  # at once
MOST_TRIES = 5
PAUSE = timedelta(seconds=10)  # between two of them
TRIED = "It could not be looked at whether it can go on"


def settle_all(waiting: AwaitedQuerySet, settle: Callable[[int, UUID], None]) -> None:
    """Settle what is known by now, the oldest run first; any number may do so at once.

    `settle` is given a row's key and its run's. A run that it fails at is tried again after a pause, and ends with
    a sentence in the end. Raises what the database raises that does not answer.
    """
    tried = RunEvent.objects.filter(sentence__startswith=TRIED, created__gt=timezone.now() - PAUSE)
    known = waiting.to_settle().exclude(run_id__in=tried.values("run_id")).order_by("run__created", "pk")
    for pk, run_id in list(known.values_list("pk", "run_id")[:MOST_SETTLED]):
        try:
            settle(pk, run_id)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # of one run, which must not keep the others waiting
            logger.exception("Run %s could not go on before its first step.", run_id)
            _note_try(waiting, run_id, error)


@transaction.atomic
def _note_try(waiting: AwaitedQuerySet, run_id: UUID, error: Exception) -> None:
    statements.lock_run(run_id)
    # The words of an error that nobody foresaw may tell a secret: its kind is shown, and the log has the rest.
    RunEvent.objects.note(run_id, f"{TRIED}: {type(error).__name__}.")
    if RunEvent.objects.filter(run_id=run_id, sentence__startswith=TRIED).count() < MOST_TRIES:
        return
    reason = (
        f"It could not be prepared: the server failed at it {MOST_TRIES} times ({type(error).__name__}). "
        "Its log says more; start the run again when that is mended."
    )
    waiting.filter(run_id=run_id).update(is_open=False)
    recording.refuse_whole(PipelineRun.objects.get(pk=run_id), reason)
