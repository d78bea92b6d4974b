"""`zenweb up` as a user starts it: real processes, a real broker, a real run."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.test_processes import eventually
from tests.postgresql import environment_of
from zenweb.cli.data_folder import open_data_folder
from zenweb.cli.processes import LEAST_LIFE, adopt_orphans

UP = [sys.executable, "-m", "zenweb.cli", "up"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds what is left over as Linux tells it")


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory) -> Path:
    """Of all tests here: whatever the order, a second start must be as good as a first."""
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails if the test leaves any process behind, wherever that has hidden in the meantime."""
    adopt_orphans(True)
    yield
    adopt_orphans(False)
    left = [process.cmdline() for process in running_below()]
    for process in psutil.Process().children(recursive=True):
        process.kill()
        process.wait()
    assert left == []


def running_below() -> list[psutil.Process]:
    """Descendants that have not ended; one that has may wait for its burial, which is no concern here."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


@contextmanager
def start(data_folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Leaving is no wait for its end: a test that failed before would wait for ever."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZENWEB_")}
    with subprocess.Popen(
        [*UP, "--port", "0", "--data-dir", str(data_folder), *options],
        env=environment | environment_of(data_folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address_told_by(process: subprocess.Popen[str]) -> str:
    """Where it is, as soon as everything runs."""
    for line in process.stdout:
        if "answers at" in line:
            return line.split()[-1]
    raise AssertionError(process.stderr.read())


@pytest.mark.usefixtures("nothing_left")
def test_once_runs_an_example_reports_and_leaves_nothing(data_folder):
    with start(data_folder, "--once") as process:
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    for expected in ("loader", "trainer", "evaluator", "metrics", "completed: http://127.0.0.1:"):
        assert expected in output
    assert open_data_folder(data_folder).read_credentials().api_key in output
    assert "cached" not in output


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(data_folder, number):
    with start(data_folder) as process:
        assert httpx.get(f"{address_told_by(process)}/health").is_success
        assert (data_folder / "logs" / "web-server.log").read_text() == ""
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, errors, output.count("Stopping")) == (0, "", 1)


@pytest.mark.usefixtures("nothing_left")
def test_whatever_dies_is_replaced_while_the_rest_goes_on(data_folder):
    with start(data_folder) as process:
        address = address_told_by(process)
        time.sleep(LEAST_LIFE)  # what ends sooner is not started again
        for part in ("redis", "celery_worker", "granian"):
            killed = child_of(process, part)
            killed.kill()
            assert eventually(lambda: child_of(process, part, other_than=killed), seconds=10)  # noqa: B023
        assert eventually(lambda: answers(address), seconds=60)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert [line.split(";")[0] for line in errors.splitlines()] == [
        f"The {name} was killed by signal 9" for name in ("broker", "worker", "web server")
    ]


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").is_success
    except httpx.TransportError:
        return False


def child_of(process, part, other_than=None):
    children = psutil.Process(process.pid).children()
    named = [child for child in children if child != other_than and is_led_by(child, part)]
    return next(iter(named), None)


def is_led_by(child, part) -> bool:
    """Not what a child that was killed left behind, which may be gone at any moment: each leads a group of its own."""
    with suppress(psutil.Error, ProcessLookupError):
        return os.getpgid(child.pid) == child.pid and any(part in word for word in child.cmdline()[:5])
    return False


@pytest.mark.usefixtures("nothing_left")
def test_killed_itself_it_takes_everything_along(data_folder):
    with start(data_folder) as process:
        address_told_by(process)
        process.kill()
        process.communicate()
    assert eventually(lambda: not running_below(), seconds=10)


def test_a_busy_port_is_one_sentence(data_folder):
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        start(data_folder, "--port", str(other.getsockname()[1])) as process,
    ):
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors.count("\n")) == (1, "", 1)
    assert "PORT=9000" in errors


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with start(tmp_path / "file" / "data") as process:
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors.count("\n")) == (1, "", 1)
    assert "--data-dir" in errors
