"""The workloads on Celery and Redis alone."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import chain, group

from benchmarks import bare_celery
from benchmarks.zenweb_side import CONNECTIONS, LIMIT, BenchmarkFailed
from zenweb.cli.broker import accepts, find_redis, redis_command
from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.environment import own_environment

PROCESSES = 2
WIDTH = 40


@dataclass
class BareCelery:
    """A running worker, and where its tasks may write."""

    folder: Path

    def first_line(self) -> float:
        path = self.folder / "told"
        began = time.monotonic()
        bare_celery.tells.delay(str(path)).get(timeout=LIMIT)
        return float(path.read_text()) - began

    def whole_run(self, name: str) -> float:
        began = time.monotonic()
        self._canvas(name)().get(timeout=LIMIT)
        return time.monotonic() - began

    def many(self, count: int) -> tuple[float, float]:
        began = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as crowd:
            results = list(crowd.map(lambda _: bare_celery.nothing.delay(), range(count)))
        accepted = time.monotonic()
        for result in results:
            result.get(timeout=LIMIT)
        return count / (accepted - began), count / (time.monotonic() - began)

    def _canvas(self, name: str) -> Any:
        if name == "chain":
            return chain(bare_celery.nothing.s(), *(bare_celery.passes_on.s() for _ in range(WIDTH - 1)))
        return group(bare_celery.nothing.s() for _ in range(WIDTH))


@contextmanager
def running(folder: Path) -> Iterator[BareCelery]:
    """Start a broker and a worker of two processes, and stop them afterwards."""
    place = open_data_folder(folder / "bare")
    place.make_socket_folder()
    environment = {**own_environment(), bare_celery.BROKER_VARIABLE: str(place.socket)}
    url = f"redis+socket://{place.socket}"
    bare_celery.app.conf.update(broker_url=url, result_backend=url)
    log_path = place.logs / "worker.log"
    with (
        log_path.open("wb") as log,
        subprocess.Popen(redis_command(find_redis(), place), stdout=log, stderr=log) as broker,
    ):
        try:
            _wait_for(lambda: accepts(place.socket), "The broker")
            command = [
                *(sys.executable, "-m", "celery", "--app", "benchmarks.bare_celery", "worker"),
                *("--pool", "prefork", "--concurrency", str(PROCESSES), "--loglevel", "INFO"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ]
            with subprocess.Popen(command, stdout=log, stderr=log, env=environment) as worker:
                try:
                    _wait_for(lambda: b" ready." in log_path.read_bytes(), "The worker")
                    yield BareCelery(folder)
                finally:
                    worker.terminate()
                    worker.wait(30)
        finally:
            broker.terminate()


def _wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{what} did not start.")
        time.sleep(0.05)
