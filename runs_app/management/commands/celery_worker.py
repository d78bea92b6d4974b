"""One Celery worker, without Celery's command line: its interactive shell alone takes 10 MB of every worker."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from kombu.transport.redis import Channel

from zenweb.celery import app

# When the broker is gone, Celery closes its connection twice, and what was not acknowledged would be put back over
# the one that is closed already: the error ends the worker and with it the steps that it runs.
Channel.do_restore = False
# Celery would have Django check the project, which loads every page and its libraries, 14 MB, into every worker.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # noqa: TID251  # for Celery to read


class Command(BaseCommand):
    help = "Start a worker; `zenweb worker` is its front."
    requires_system_checks: list[str] = []  # noqa: RUF012

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queues", required=True, help="Separated by commas.")
        parser.add_argument("--slots", required=True, type=int)
        parser.add_argument("--name", required=True)

    def handle(self, *, queues: str, slots: int, name: str, **_: Any) -> None:
        worker = app.Worker(
            hostname=name,
            pool_cls="threads",
            concurrency=slots,
            queues=queues,
            loglevel="INFO",
            # Workers know of each other through the database, so they need not meet over the broker.
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
        sys.exit(worker.exitcode)
