"""What the process that calls a pipeline of the local stack does: tells how it goes, fails, is stopped, is alone."""

import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from zenweb import log_metadata, pipeline, step
from zenweb.config.hooks import SUCCESS
from zenweb.exceptions import RunStopped, ServerUnreachable, ValidationFailed
from zenweb.execution import local_run
from zenweb.execution.live_report import interrupt_main_thread
from zenweb.execution.local_run import execute_local_run

LONG = 30  # seconds, that nobody should have to wait


@step
def breaks() -> None:
    raise ValueError("broken")


@step
def stands_alone() -> None: ...


@pipeline
def fragile() -> None:
    breaks()
    stands_alone()


@pipeline
def lonely() -> None:
    stands_alone()


heard = threading.Event()


@step
def tells() -> None:
    print("epoch 1\nepo", end="")  # noqa: T201  # steps print
    log_metadata({"epoch": 1})
    assert heard.wait(LONG)
    print("ch 2")  # noqa: T201


@pipeline
def telling() -> None:
    tells()


def interrupt() -> None:
    main = threading.main_thread().ident or 0
    while "join" not in {frame.name for frame in traceback.extract_stack(sys._current_frames()[main])}:
        threading.Event().wait(0.01)  # it is about to wait for this hook
    interrupt_main_thread()
    threading.Event().wait(LONG)


@step
def goes_on() -> None:
    threading.Event().wait(LONG)


@pipeline
def endless() -> None:
    goes_on()
    stands_alone()


@step
def is_interrupted() -> None:
    raise KeyboardInterrupt


@pipeline
def interrupted() -> None:
    is_interrupted()
    stands_alone()


class Server:
    """Grants each step a number of further tries, and says whether the run goes on."""

    def __init__(self, tries: int = 0, goes_on: bool = True) -> None:
        self.tries, self.goes_on = tries, goes_on
        self.started: list[str] = []
        self.progress: list[dict[str, Any]] = []
        self.ends: list[dict[str, Any]] = []
        self.was_told_to_stop = False
        self.away = 0

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise ServerUnreachable("No server answers.")
        self.started.append(step_name)
        return {
            "run_id": run_id,
            "run_name": "r",
            "pipeline_name": "fragile",
            "step_run_id": uuid4(),
            "step_name": step_name,
            "attempt": len(self.started),
            "source": f"{__name__}.{step_name}",
            "parameters": {},
            "inputs": {},
            "outputs": [],
            "artifact_uri": "a",
        }

    def end_step(self, run_id: UUID, step_name: str, end: dict[str, Any]) -> float | None:
        self.ends.append(end)
        if end["status"] == "completed" or not self.tries:
            return None
        self.tries -= 1
        return 0.01

    def renew_lease(self, run_id: UUID) -> bool:
        return self.goes_on

    def report_progress(self, run_id: UUID, step_name: str, progress: dict[str, Any]) -> bool:
        self.progress.append(progress)
        heard.set()
        return self.goes_on

    def stop_run(self, run_id: UUID) -> None:
        self.was_told_to_stop = True

    def download_file(self, artifact_version_id: UUID, target: Path) -> None:
        self.fetched = target
        target.write_bytes(b"x")


class ServerOfAnUpload(Server):
    """Gives a step a file that is not on this machine, under a name that leads elsewhere."""

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]:
        version = str(uuid4())
        given = {"id": version, "name": "u", "artifact_version": "1", "file_name": "../../../escaped.csv"}
        stored = {
            "uri": "/nowhere",
            "materializer": "m.M",
            "data_type": "pathlib.Path",
            "type": "DataArtifact",
        }
        return super().start_step(run_id, step_name) | {"files": {version: given | stored}}


def test_a_file_is_fetched_into_the_attempts_folder_whatever_it_is_called(tmp_path: Path) -> None:
    server = ServerOfAnUpload()
    assert isinstance(execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path)), ValueError)
    assert ".." not in server.fetched.parts
    assert (server.fetched.name, server.fetched.parent.name) == ("escaped.csv", "path")


@pytest.mark.parametrize(
    ("server", "started"),
    [
        (Server(), ["breaks", "stands_alone"]),
        (Server(tries=2), ["breaks", "breaks", "breaks", "stands_alone"]),
        (Server(goes_on=False), ["breaks"]),
    ],
)
def test_a_failed_step_is_tried_again_and_the_run_goes_on_as_the_server_says(
    server: Server, started: list[str], tmp_path: Path
) -> None:
    assert str(execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path))) == "broken"
    assert server.started == started


def test_the_log_of_a_failed_step_ends_with_where_it_failed_and_the_terminal_is_told_by_whoever_raises_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = Server()
    execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path))
    log = server.ends[0]["log"]
    assert log == server.ends[0]["exception"]["traceback"]
    assert (log.count("Traceback"), log.splitlines()[-1]) == (1, "ValueError: broken")
    assert capfd.readouterr() == ("", "")


def test_what_a_step_prints_and_notes_is_told_while_it_runs(tmp_path: Path) -> None:
    server = Server()
    heard.clear()
    assert execute_local_run(server, uuid4(), telling.compile(), str(tmp_path)) is None
    [piece], [end] = server.progress, server.ends
    assert (piece["piece"], piece["log"], piece["step_metadata"]) == (0, "epoch 1\n", {"epoch": 1})
    assert (end["piece"], end["log"], end["status"]) == (1, "epoch 2\n", "completed")


class ServerThatLosesAnswers(Server):
    """Takes a piece of a log by its number, as the real one does, and the answer to the first one is lost."""

    def report_progress(self, run_id: UUID, step_name: str, progress: dict[str, Any]) -> bool:
        super().report_progress(run_id, step_name, progress)
        if len(self.progress) == 1:
            raise ServerUnreachable("The answer was lost.")
        return True

    @property
    def log(self) -> str:
        kept: list[str] = []
        for told in [*self.progress, *self.ends]:
            if told["log"] and told["piece"] == len(kept):
                kept.append(told["log"])
        return "".join(kept)


def test_no_line_is_lost_with_the_answer_to_a_report(tmp_path: Path) -> None:
    server = ServerThatLosesAnswers()
    heard.clear()
    assert execute_local_run(server, uuid4(), telling.compile(), str(tmp_path)) is None
    assert server.log == "epoch 1\nepoch 2\n"


class ServerThatConfuses(Server):
    """The first report ends in what nobody has foreseen."""

    def report_progress(self, run_id: UUID, step_name: str, progress: dict[str, Any]) -> bool:
        if not self.progress:
            self.progress.append(progress)
            raise RuntimeError("unforeseen")
        return super().report_progress(run_id, step_name, progress)


def test_a_report_that_fails_does_not_end_reporting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = ServerThatConfuses()
    heard.clear()
    assert execute_local_run(server, uuid4(), telling.compile(), str(tmp_path)) is None
    assert [piece["log"] for piece in server.progress] == ["epoch 1\n", "epoch 1\n"]
    assert "could not be reported on" in caplog.text


def test_a_run_that_is_to_stop_is_interrupted_within_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenweb.execution.live_report.LEASE_INTERVAL", 0.1)
    server, began = Server(goes_on=False), time.monotonic()
    with pytest.raises(RunStopped):
        execute_local_run(server, uuid4(), endless.compile(), str(tmp_path))
    assert time.monotonic() - began < LONG
    assert (server.started, [end["status"] for end in server.ends]) == (["goes_on"], ["stopped"])


def test_ctrl_c_stops_the_run_and_the_step(tmp_path: Path) -> None:
    server = Server()
    with pytest.raises(KeyboardInterrupt):
        execute_local_run(server, uuid4(), interrupted.compile(), str(tmp_path))
    assert (server.started, server.was_told_to_stop) == (["is_interrupted"], True)
    assert [(end["status"], end["attempt"]) for end in server.ends] == [("stopped", 1)]


class ServerWithHook(Server):
    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]:
        return super().start_step(run_id, step_name) | {"settings": {SUCCESS: f"{__name__}.interrupt"}}


def test_ctrl_c_during_a_hook_leaves_the_hook_and_stops_the_run(tmp_path: Path) -> None:
    server, began = ServerWithHook(), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        execute_local_run(server, uuid4(), lonely.compile(), str(tmp_path))
    assert time.monotonic() - began < LONG
    assert (server.started, server.was_told_to_stop) == (["stands_alone"], True)
    assert [end["status"] for end in server.ends] == ["stopped"]


def test_a_server_that_restarts_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_run, "PAUSE", 0.01)
    server = Server()
    server.away = 3
    execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path))
    assert server.started == ["breaks", "stands_alone"]


def test_a_server_that_stays_away_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_run, "PAUSE", 0.01)
    monkeypatch.setattr(local_run, "PATIENCE", 0.05)
    server = Server()
    server.away = 1_000_000
    with pytest.raises(ServerUnreachable, match="No server answers"):
        execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path))


def test_a_step_that_the_server_closed_meanwhile_is_not_started(tmp_path: Path) -> None:
    class Closed(Server):
        def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]:
            raise ValidationFailed("Step 'breaks' cannot start now: it is stopped.")

    with pytest.raises(RunStopped):
        execute_local_run(Closed(goes_on=False), uuid4(), fragile.compile(), str(tmp_path))
    with pytest.raises(ValidationFailed):
        execute_local_run(Closed(), uuid4(), fragile.compile(), str(tmp_path))
