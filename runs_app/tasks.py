"""The Celery task: somebody rang, so claim what is ready."""

import threading
import uuid
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from runs_app.worker import StepWorker
from zenweb.celery import app

_worker: StepWorker | None = None


@app.task(name="runs_app.tasks.run_ready_steps")
def run_ready_steps(queue: str) -> None:
    """Run ready steps of a queue until there are none. Asked twice, lost or late: nothing changes but time."""
    if _worker is not None and queue in _worker.queues:
        _worker.run_ready_steps(queue)


@app.task(name="runs_app.tasks.warm_up")
def warm_up(deployment_id: str) -> None:
    """Import a deployment's code ahead of a run that may come."""
    if _worker is not None:
        _worker.warm_up(uuid.UUID(deployment_id))


@app.task(name="runs_app.tasks.prepare")
def prepare(queue: str) -> None:
    """Look now for what has to be found out before a run; without this ring it is found a moment later."""
    if _worker is not None and queue in _worker.queues:
        _worker.preparers.wake()


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    global _worker  # noqa: PLW0603  # Celery knows only functions; the worker is one per process
    controller = sender.controller
    _worker = StepWorker(
        name=controller.hostname.partition("@")[2],  # Celery puts "celery@" before it
        queues=controller.app.amqp.queues.consume_from,
        slots=controller.concurrency,
    )
    _worker.start()


@worker_shutting_down.connect
def _shut_down(**_: Any) -> None:
    if _worker is not None:
        # In a thread: this is called from a signal handler, in which nothing may wait.
        threading.Thread(target=_worker.shut_down, name="shutdown").start()
