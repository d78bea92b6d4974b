"""What must happen even when nobody asks: dead workers, forgotten steps, silent callers, time that is up or has come.

Every worker does it; any number of them at once are safe.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db import DatabaseError, IntegrityError, close_old_connections, connections
from django.utils import timezone

from runs_app import choices, compiled_runs, derived_deployments, preparations, recording, run_counts, waiting
from runs_app.dispatch import wake_workers
from runs_app.models import PipelineRun, StepRun, Worker
from runs_app.observation import Observer
from runs_app.schedules import fire_due_schedules, forget_old_firings
from templates_app.models import RunTemplateVersion
from zenweb.accounts.audit import forget_old_events
from zenweb.accounts.keyed_requests import forget_old_requests

logger = logging.getLogger(__name__)
INTERVAL = 1.0  # seconds
FORGOTTEN_EVERY = 60.0  # seconds
COUNTED_EVERY = 10.0  # seconds
UNHEARD = 4.0  # seconds of ringing after which a worker looks by itself


class Housekeeper:
    """Judges by counters and by its own monotonic clock: clocks that are wrong, or set right, end nothing."""

    def __init__(self) -> None:
        self._workers = Observer(settings.WORKER_LEASE)
        self._callers = Observer(settings.LOCAL_RUN_LEASE)
        self._stopwatch = Stopwatch()
        self._next = 0.0
        self._looked_at = timezone.now()
        self._in_need_since: dict[str, float] = {}

    def tidy_up(self, worker: Worker, queues: Sequence[str]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL
        self._bury_the_dead(worker)
        preparations.take_back_from_the_dead()
        in_need = wake_for_forgotten_steps(queues)
        self._in_need_since = {queue: self._in_need_since.get(queue, now) for queue in in_need}
        self._end_abandoned_runs()
        for run in self._stopwatch.overdue():
            recording.time_out(run)
        note_unserved_queues()

    def unheard(self) -> list[str]:
        """Queues whose steps wait although they were rung for again and again."""
        long_ago = time.monotonic() - UNHEARD
        return [queue for queue, since in self._in_need_since.items() if since < long_ago]

    def newly_registered(self, queues: Sequence[str]) -> list[uuid.UUID]:
        """Deployments of these queues that became a template's version since this was asked last."""
        versions = RunTemplateVersion.objects.filter(
            deployment__stack__queue__in=queues, created__gt=self._looked_at
        )
        found = list(versions.order_by("created").values_list("created", "deployment_id"))
        if found:
            self._looked_at = found[-1][0]
        return [deployment_id for _, deployment_id in found]

    def _bury_the_dead(self, worker: Worker) -> None:
        """The one place where the dead are found."""
        beats = dict(Worker.objects.alive().exclude(pk=worker.pk).values_list("pk", "beat"))
        for pk, seconds in self._workers.silent(beats).items():
            silent = Worker.objects.get(pk=pk)
            reason = f"died (silent for {int(seconds)} s)"
            if recording.bury_worker(silent, reason, settings.MAX_WORKER_DEATHS, beat=beats[pk]):
                logger.warning("Worker %s %s.", silent.name, reason)

    def _end_abandoned_runs(self) -> None:
        beats = dict(PipelineRun.objects.called_locally().values_list("pk", "caller_beat"))
        for pk in self._callers.silent(beats):
            recording.fail_abandoned_run(pk, beats[pk])


class Stopwatch:
    """Counts how long runs with a time limit take; what one worker has counted, others go on from."""

    NOTED_EVERY = 5.0  # seconds

    def __init__(self) -> None:
        self._counted: dict[uuid.UUID, tuple[float, float]] = {}

    def overdue(self) -> Iterator[PipelineRun]:
        """Runs that go on for longer than they may."""
        now = time.monotonic()
        limited = list(PipelineRun.objects.with_time_limit())
        self._counted = {run.pk: self._counted.get(run.pk, (0.0, now)) for run in limited}
        for run in limited:
            seconds, since = self._counted[run.pk]
            spent = seconds + now - since
            if run.seconds_spent > spent:
                spent = run.seconds_spent
                self._counted[run.pk] = (spent, now)
            if run.timeout is not None and spent > run.timeout:
                yield run
            elif spent > run.seconds_spent + self.NOTED_EVERY:
                recording.note_time_spent(run, spent)


def keep_schedules(over: threading.Event) -> None:
    """Fire schedules when their time has come, and let runs go on for which there is room, or whose choices are known.

    Until the worker is over. Now and then forget what is long past: times of schedules, answers, what pipelines were
    put together as, the audit's events.

    In a thread of its own: launching many runs may take longer than a heartbeat can wait.
    """
    forget_next = count_next = 0.0
    while not over.wait(INTERVAL):
        try:
            fire_due_schedules()
            recording.stop_unwanted()
            recording.admit_forgotten()
            choices.settle_all()
            compiled_runs.settle_all()
            if time.monotonic() >= count_next:
                count_next = time.monotonic() + COUNTED_EVERY
                run_counts.fold()
            if time.monotonic() >= forget_next:
                forget_next = time.monotonic() + FORGOTTEN_EVERY
                _forget()
        except DatabaseError:
            logger.warning("The database does not answer; schedules wait.", exc_info=True)
            connections.close_all()
        except Exception:
            logger.exception("Looking for due schedules failed.")
        close_old_connections()  # a pooled one goes back
    connections.close_all()


def _forget() -> None:
    """Each for itself: what one cannot remove keeps no other from its work."""
    for forget in (
        forget_old_firings,
        preparations.forget_old,
        derived_deployments.forget_unused,
        forget_old_events,
        forget_old_requests,
    ):
        try:
            forget()
        except IntegrityError:
            logger.exception("%s failed.", forget.__qualname__)


def wake_for_forgotten_steps(queues: Sequence[str]) -> list[str]:
    """A step that is ready may have had its ring lost, or waits its turn: ringing again harms nobody.

    The queues with such steps.
    """
    ready = StepRun.objects.ready(timezone.now()).filter(queue__in=queues)
    if queues_in_need := sorted(ready.order_by().values_list("queue", flat=True).distinct()):
        wake_workers(queues_in_need)
    return queues_in_need


def note_unserved_queues() -> None:
    """Of queues other than one's own: who serves one takes its steps."""
    for run_id, sentences in waiting.unserved().items():
        for queue, sentence in sentences.items():
            recording.note_unserved(run_id, queue, sentence)
