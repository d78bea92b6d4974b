"""The workloads on ZenWeb, as a user meets it: everything that `zenweb up` starts, asked over REST."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import psutil

from zenweb.cli.environment import own_environment
from zenweb.enums import FINISHED_STATUSES

PIPELINES = Path(__file__).parent / "pipelines"
CONNECTIONS = 8
LIMIT = 120  # seconds
POLL = 0.05


class BenchmarkFailed(Exception):
    """Something did not work, so there is nothing to measure."""


@dataclass
class ZenWeb:
    """A running server."""

    process: "subprocess.Popen[str]"
    http: httpx.Client
    folder: Path

    def register(self, *sources: str) -> None:
        """Make templates of `module.pipeline`, named as the pipeline."""
        for source in sources:
            subprocess.run(
                [
                    *(sys.executable, "-m", "zenweb.cli", "pipeline", "create-run-template"),
                    *(source, "--name", source.partition(".")[2], "--stack", "celery"),
                ],
                cwd=PIPELINES,
                env={
                    **own_environment(),
                    "ZENWEB_SERVER_URL": str(self.http.base_url.copy_with(path="/")).rstrip("/"),
                    "ZENWEB_API_KEY": self.http.headers["Authorization"].removeprefix("Bearer "),
                },
                stdout=subprocess.DEVNULL,
                check=True,
            )

    def first_line(self, name: str = "single") -> float:
        """Seconds from a request to the first line of user code."""
        path = self.folder / "told"
        path.unlink(missing_ok=True)
        body = {"steps": {"only": {"parameters": {"path": str(path)}}}}
        began = time.monotonic()
        run = self.trigger(name, body)
        time.sleep(POLL)
        self.wait_for(run["id"])
        return float(path.read_text()) - began

    def whole_run(self, name: str, limit: float = LIMIT) -> float:
        """Seconds from a request to the end of the run."""
        began = time.time()
        triggered = self.trigger(name)
        time.sleep(POLL)
        run = self.wait_for(triggered["id"], limit)
        return end_of(run) - began

    def many(self, count: int) -> tuple[float, float]:
        """Accepted per second, and completed per second, of so many requests over several connections."""
        began = time.time()
        with ThreadPoolExecutor(CONNECTIONS) as crowd:
            shares = list(crowd.map(self._trigger_over_one_connection, [count // CONNECTIONS] * CONNECTIONS))
        accepted = time.time()
        ended = max(end_of(self.wait_for(run)) for share in shares for run in reversed(share))
        return count / (accepted - began), count / (ended - began)

    def trigger(self, name: str, body: Any = None) -> dict[str, Any]:
        return self._answer(self.http.post(f"run_templates/{name}/runs", json=body or {}))

    def _trigger_over_one_connection(self, count: int) -> list[str]:
        """With the plainest client there is: httpx needs as long for a request as the server for its answer."""
        url = self.http.base_url
        headers = {"Authorization": self.http.headers["Authorization"], "Content-Type": "application/json"}
        runs = []
        with closing(HTTPConnection(url.host, url.port or 80, timeout=LIMIT)) as connection:
            for _ in range(count):
                connection.request("POST", f"{url.path}run_templates/single/runs", "{}", headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != HTTPStatus.OK:
                    raise BenchmarkFailed(f"A request was answered {answer.status}: {body.decode()}")
                runs.append(json.loads(body)["id"])
        return runs

    def wait_for(self, run: str, limit: float = LIMIT) -> dict[str, Any]:
        """The run when it has ended. Its end is in its row, so asking rarely disturbs little and measures no less."""
        deadline = time.monotonic() + limit
        while self._answer(self.http.get(f"runs/{run}/status")) not in FINISHED_STATUSES:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"Run {run} did not end within {limit:g} s.")
            time.sleep(POLL)
        described: dict[str, Any] = self._answer(self.http.get(f"runs/{run}"))
        if described["body"]["status"] != "completed":
            raise BenchmarkFailed(f"Run {run}: {described['body']['status_reason']}")
        return described

    def memory(self) -> float:
        """MiB that all of its processes hold, shared pages counted by their share."""
        everyone = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        return float(sum(process.memory_full_info().pss for process in everyone)) / 2**20

    def _answer(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise BenchmarkFailed(f"{answer.request.url} answered {answer.status_code}: {answer.text}")
        return answer.json()


@contextmanager
def running(folder: Path, database_url: str = "") -> Iterator[ZenWeb]:
    """Start everything on an empty data folder, and stop it afterwards. No address: the embedded database."""
    data = folder / "data"
    environment = {**own_environment(), **({"DATABASE_URL": database_url} if database_url else {})}
    command = [sys.executable, "-m", "zenweb.cli", "up", "--port", "0", "--data-dir", str(data)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            url = _address(process)
            key = json.loads((data / "credentials").read_text())["api_key"]
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(
                base_url=f"{url}/api/v1/", headers=headers, trust_env=False, timeout=LIMIT
            ) as http:
                yield ZenWeb(process, http, folder)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _address(process: "subprocess.Popen[str]") -> str:
    deadline = threading.Timer(LIMIT, process.kill)
    deadline.start()
    url, said = "", []
    try:
        for line in process.stdout or []:
            said.append(line)
            if line.startswith("ZenWeb answers at "):
                url = line.split()[-1]
            if "Ctrl-C stops everything" in line:
                return url
    finally:
        deadline.cancel()
    raise BenchmarkFailed("ZenWeb did not start:\n" + "".join(said))


def end_of(run: dict[str, Any]) -> float:
    end = datetime.fromisoformat(_end_time(run))
    return end.timestamp()


def _end_time(run: dict[str, Any]) -> str:
    return str(run["metadata"]["end_time"])
