"""Workers are told that there is something to take: after the transaction, and as a hint only."""

import uuid
from functools import partial

from django.conf import settings
from django.db import transaction

from runs_app import limits
from runs_app.dispatch import wake_workers
from runs_app.models import PipelineRun, RunEvent


def wake_for(run: PipelineRun, queues: list[str], kept_by_this_worker: str | None = None) -> None:
    """Wake workers for these steps; the worker that ended a step takes the first of its queue itself."""
    if kept_by_this_worker in queues:
        queues.remove(kept_by_this_worker)
    if queues and run.caller_beat is None:
        transaction.on_commit(partial(wake_workers, queues), robust=True)


def announce(run: PipelineRun, queues: list[str]) -> None:
    """Tell the first steps of a run to workers, and its ledger that they were told."""
    named = limits.named(sorted(set(queues)))
    several = "s" if len(set(queues)) > 1 else ""
    RunEvent.objects.note(run.pk, f"Offered to the workers of queue{several} {named}.")
    transaction.on_commit(partial(_ring, run.pk, queues), robust=True)


def _ring(run_id: uuid.UUID, queues: list[str]) -> None:
    if not wake_workers(queues):
        sentence = "The broker did not answer: workers look for it by themselves."
        RunEvent.objects.note(run_id, sentence)


def offer_freed_place(queue: str) -> None:
    """Where a queue runs only so many steps at once, others may have looked in vain while all places were taken."""
    if queue in settings.QUEUE_LIMITS:
        transaction.on_commit(partial(wake_workers, [queue]), robust=True)
