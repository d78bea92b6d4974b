"""What must happen even when nobody asks: dead workers, forgotten steps, silent callers, time that is up or has come.

Every worker does it; any number of them at once are safe.
"""

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from runs_app import recording, waiting
from runs_app.dispatch import wake_workers
from runs_app.models import PipelineRun, StepRun, Worker
from runs_app.schedules import fire_due_schedules
from templates_app.models import RunTemplateVersion

logger = logging.getLogger(__name__)
INTERVAL = 1.0  # seconds
STALE_AFTER = timedelta(seconds=1)


class Housekeeper:
    """Watches other workers by whether their counters move over its own monotonic clock, so no clock can mislead it."""

    def __init__(self) -> None:
        self._seen: dict[uuid.UUID, tuple[int, float]] = {}
        self._next = 0.0
        self._looked_at = timezone.now()

    def tidy_up(self, worker: Worker, queues: Sequence[str]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL
        self._bury_the_dead(worker, now)
        wake_for_forgotten_steps(queues)
        _end_lapsed_runs()
        end_overdue_runs()
        recording.admit_forgotten()
        note_unserved_queues()

    def newly_registered(self, queues: Sequence[str]) -> list[uuid.UUID]:
        """Deployments of these queues that became a template's version since this was asked last."""
        versions = RunTemplateVersion.objects.filter(
            deployment__stack__queue__in=queues, created__gt=self._looked_at
        )
        found = list(versions.order_by("created").values_list("created", "deployment_id"))
        if found:
            self._looked_at = found[-1][0]
        return [deployment_id for _, deployment_id in found]

    def _bury_the_dead(self, worker: Worker, now: float) -> None:
        alive = dict(Worker.objects.alive().exclude(pk=worker.pk).values_list("pk", "beat"))
        self._seen = {pk: seen for pk, seen in self._seen.items() if pk in alive}
        for pk, beat in alive.items():
            last_beat, since = self._seen.get(pk, (None, now))
            if beat != last_beat:
                self._seen[pk] = (beat, now)
            elif now - since > settings.WORKER_LEASE.total_seconds():
                silent = Worker.objects.get(pk=pk)
                reason = f"died (silent for {int(now - since)} s)"
                if recording.bury_worker(silent, reason, settings.MAX_WORKER_DEATHS, beat=beat):
                    logger.warning("Worker %s %s.", silent.name, reason)


def keep_schedules(over: threading.Event) -> None:
    """Fire schedules when their time has come, until the worker is over.

    In a thread of its own: launching many runs may take longer than a heartbeat can wait.
    """
    while not over.wait(INTERVAL):
        try:
            fire_due_schedules()
        except DatabaseError:
            logger.warning("The database does not answer; schedules wait.", exc_info=True)
            connections.close_all()
        except Exception:
            logger.exception("Looking for due schedules failed.")
        close_old_connections()  # a pooled one goes back
    connections.close_all()


def wake_for_forgotten_steps(queues: Sequence[str]) -> None:
    """A step that is ready for a while had its ring lost, or waits its turn: ringing again harms nobody."""
    stale = StepRun.objects.ready(timezone.now() - STALE_AFTER).filter(queue__in=queues)
    if queues_in_need := sorted(stale.order_by().values_list("queue", flat=True).distinct()):
        wake_workers(queues_in_need)


def note_unserved_queues() -> None:
    """Of queues other than one's own: who serves one takes its steps."""
    for run_id, sentences in waiting.unserved().items():
        for queue, sentence in sentences.items():
            recording.note_unserved(run_id, queue, sentence)


def end_overdue_runs() -> None:
    for run in PipelineRun.objects.overdue(timezone.now()):
        recording.time_out(run)


def _end_lapsed_runs() -> None:
    for run in PipelineRun.objects.filter(lease_until__lt=timezone.now()).select_related("pipeline"):
        recording.fail_lapsed_run(run)
