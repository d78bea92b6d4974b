"""Rings the doorbell of workers: "queue Q has a ready step". Losing a ring costs time, never a run."""

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from kombu import Connection
from kombu.exceptions import KombuError
from kombu.pools import producers
from redis.exceptions import RedisError

from zenweb.celery import app

logger = logging.getLogger(__name__)

RUN_READY_STEPS = "runs_app.tasks.run_ready_steps"
WARM_UP = "runs_app.tasks.warm_up"
PREPARE = "runs_app.tasks.prepare"
# More rings than these that nobody has heard yet tell workers nothing new: each claims while there is work.
MOST_RINGS = 32
# Of the rings that wait on a queue these may not keep others out.
LIMITS = {RUN_READY_STEPS: MOST_RINGS, PREPARE: MOST_RINGS + 8, WARM_UP: 8}
# What kombu, its pool of connections and the transport raise when the broker is away, slow or busy.
PUBLISH_ERRORS = (KombuError, RedisError, OSError)


class Doorbell:
    """Publishes wake-ups. Never raises, and waits at most a socket's time-out once per pause."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def ring(self, task: str, argument: str, queues: Iterable[str]) -> bool:
        """A message on each queue named (as often as it is named); False when the broker could not be told.

        None where enough of them wait already: to write and to read one takes as long as the rest of a request.
        """
        if time.monotonic() < self._silent_until:
            return False
        try:
            with producers[self._connect()].acquire(block=True, timeout=0.3) as producer:
                for queue, wanted in Counter(queues).items():
                    missing = min(wanted, LIMITS[task] - _waiting(producer, queue))
                    for _ in range(missing):
                        app.send_task(
                            task, args=[argument or queue], queue=queue, producer=producer, retry=False
                        )
        except PUBLISH_ERRORS as error:
            self._pause(error)
            return False
        return True

    def _connect(self) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = Connection(
                    settings.CELERY_BROKER_URL,
                    transport_options=settings.PUBLISH_OPTIONS,
                    connect_timeout=0.3,
                )
            return self._connection

    def _pause(self, error: Exception) -> None:
        self._silent_until = time.monotonic() + settings.PUBLISH_PAUSE.total_seconds()
        logger.warning("The broker does not answer (%s); workers will find ready steps by themselves.", error)


def _waiting(producer: Any, queue: str) -> int:
    """How many rings nobody has heard yet; 0 where the broker is no Redis, and does not say so cheaply."""
    client = getattr(producer.channel, "client", None)
    return int(client.llen(queue)) if client is not None else 0


_doorbell = Doorbell()


def wake_workers(queues: Iterable[str]) -> bool:
    """Tell the workers of these queues, once per ready step, that there is something to claim."""
    return _doorbell.ring(RUN_READY_STEPS, "", queues)


def ring_for_preparations(queues: Iterable[str]) -> bool:
    """Tell the workers of these queues that there is something to find out before a run."""
    return _doorbell.ring(PREPARE, "", queues)


def warm_up(deployment_id: uuid.UUID, queue: str) -> bool:
    """Tell a worker that a run of this deployment may come soon, so that it imports the code ahead."""
    return _doorbell.ring(WARM_UP, str(deployment_id), [queue])
