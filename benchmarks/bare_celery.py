"""The same workloads on Celery alone: nothing is stored but results in Redis."""

import time
from pathlib import Path

from celery import Celery

from zenweb.cli.environment import own_environment

BROKER_VARIABLE = "BENCH_BROKER"
SOCKET = own_environment().get(BROKER_VARIABLE, "")
app = Celery("bare", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
app.conf.worker_hijack_root_logger = False


@app.task
def tells(path: str) -> None:
    now = time.monotonic()
    Path(path).write_text(str(now))


@app.task
def nothing() -> int:
    return 0


@app.task
def passes_on(before: int) -> int:
    return before
