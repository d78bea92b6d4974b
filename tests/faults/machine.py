"""Real processes on a database file of their own, to be killed, frozen and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from zenweb.cli.broker import accepts, broker_url, find_redis, redis_command
from zenweb.cli.data_folder import DataFolder
from zenweb.cli.server import server_command
from zenweb.cli.worker import worker_command

Found = TypeVar("Found")
IS_LONG = os.environ.get("ZENWEB_FAULTS") == "long"
SEED = int(os.environ.get("ZENWEB_FAULTS_SEED", "1"))
LEASE = 3  # seconds
DEFAULT_LEASE = 8  # seconds, where nobody says otherwise
CALLER_LEASE = 8  # seconds; of 30 by default
RECOVERY = LEASE + 5  # seconds until a step of a dead worker runs again
MOST_RECOVERY = 15  # seconds, with the default lease
figures: list[str] = []  # what was measured, shown after the tests
START_LIMIT = 120  # seconds; a machine that does other things as well takes its time


def wait_for(condition: Callable[[], Found], seconds: float = START_LIMIT) -> Found:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.03)
    return found


@dataclass
class Machine:
    """What runs on one data folder and one database."""

    folder: DataFolder
    database_url: str
    settings: dict[str, str] = field(default_factory=dict)
    processes: list[psutil.Popen] = field(default_factory=list)
    web: psutil.Popen | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "zenweb.settings",
            "ZENWEB_DATA_DIR": str(self.folder.path),
            "ZENWEB_BROKER_URL": broker_url(self.folder),
            "ZENWEB_WORKER_LEASE": str(LEASE),
            "ZENWEB_LOCAL_RUN_LEASE": str(CALLER_LEASE),
            "ZENWEB_SHUTDOWN_LIMIT": "1",
            "DATABASE_URL": self.database_url,
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def start_broker(self) -> psutil.Popen:
        self.folder.make_socket_folder()
        self.folder.socket.unlink(missing_ok=True)
        broker = self.start("broker", redis_command(find_redis(), self.folder))
        wait_for(lambda: accepts(self.folder.socket))
        return broker

    def start_worker(self, name: str = "w1", slots: int = 2) -> psutil.Popen:
        return self.start_workers(name, slots=slots)[0]

    def start_workers(self, *names: str, slots: int = 2) -> list[psutil.Popen]:
        workers = [self.start(name, worker_command(slots=slots, name=name)) for name in names]
        for name, worker in zip(names, workers, strict=True):
            wait_until_ready(lambda name=name: self.log(name), worker)
        return workers

    def start_web(self, url: str = "") -> str:
        """The address at which it answers: this one, or any."""
        url = url or f"http://127.0.0.1:{free_port()}"
        self.web = self.start("web", server_command("127.0.0.1", int(url.rpartition(":")[2]), threads=16))
        wait_for(lambda: answers(f"{url}/health"))
        return url

    def kill(self, process: psutil.Popen) -> None:
        """At once, with what it started: none of them gets to do anything any more."""
        for one in [process, *self.below(process)]:
            one.send_signal(signal.SIGSTOP)
        for one in [process, *self.below(process)]:
            one.kill()
        process.wait(20)

    def end(self, number: signal.Signals) -> None:
        """Send it to all at once and wait for their end."""
        for process in self.processes:
            if process.is_running():
                process.send_signal(number)
        for process in self.processes:
            process.wait(20)
        self.processes.clear()

    def log(self, name: str) -> bytes:
        return (self.folder.logs / f"{name}.log").read_bytes()

    def below(self, process: psutil.Popen) -> list[psutil.Process]:
        return process.children(recursive=True) if process.is_running() else []

    def clean_up(self) -> None:
        remaining = [below for process in self.processes for below in self.below(process)]
        for process in [*self.processes, *remaining]:
            if process.is_running():
                process.kill()
        for process in self.processes:
            process.wait(20)
        psutil.wait_procs(remaining, timeout=10)
        if self.folder.socket.parent != self.folder.path:
            shutil.rmtree(self.folder.socket.parent, ignore_errors=True)

    def start(self, name: str, command: Sequence[str], folder: Path | None = None) -> psutil.Popen:
        with (self.folder.logs / f"{name}.log").open("wb") as log:
            process = psutil.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=folder or self.folder.path,
                process_group=0,
            )
        self.processes.append(process)
        return process


@dataclass(frozen=True)
class Witness:
    """The file to which steps write when they start and when they end."""

    folder: Path

    def parameters(self, steps: Sequence[str], **parameters: Any) -> dict[str, Any]:
        """A run configuration with which these steps write here."""
        given = {"folder": str(self.folder), **parameters}
        return {"steps": {step: {"parameters": given} for step in steps}}

    def lines(self) -> list[tuple[str, int, str]]:
        """Step, attempt and what it noted, in the order in which it happened."""
        notes = self.folder / "notes"
        text = notes.read_text() if notes.exists() else ""
        return [
            (step, int(attempt), word)
            for step, attempt, word, _ in (line.split() for line in text.splitlines())
        ]

    def count(self, word: str) -> int:
        return sum(noted == word for _, _, noted in self.lines())

    def moments(self, word: str) -> list[float]:
        """When it was noted, by the monotonic clock."""
        text = (self.folder / "notes").read_text()
        return [float(line.split()[3]) for line in text.splitlines() if line.split()[2] == word]


def client_of(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)


def trigger(site: httpx.Client, template: Any, body: Any, **headers: str) -> httpx.Response:
    """Ask for a run of the template with that id."""
    return site.post(f"/api/v1/run_templates/{template}/runs", json=body, headers=headers)


def wait_until_ready(log: Callable[[], bytes], worker: psutil.Popen) -> None:
    wait_for(lambda: b" ready." in log() or worker.poll() is not None)
    assert worker.poll() is None, log().decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
