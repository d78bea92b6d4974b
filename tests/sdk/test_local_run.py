"""What the process that calls a pipeline of the local stack does when a step fails."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from zenweb import pipeline, step
from zenweb.execution.local_run import execute_local_run


@step
def breaks() -> None:
    raise ValueError("broken")


@step
def stands_alone() -> None: ...


@pipeline
def fragile() -> None:
    breaks()
    stands_alone()


class Server:
    """Grants each step a number of further tries, and says whether the run goes on."""

    def __init__(self, tries: int = 0, goes_on: bool = True) -> None:
        self.tries, self.goes_on = tries, goes_on
        self.started: list[str] = []

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]:
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
        if end["status"] == "completed" or not self.tries:
            return None
        self.tries -= 1
        return 0.01

    def renew_lease(self, run_id: UUID) -> bool:
        return self.goes_on

    def stop_run(self, run_id: UUID) -> None: ...

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
    with pytest.raises(ValueError, match="broken"):
        execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path))
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
    with pytest.raises(ValueError, match="broken"):
        execute_local_run(server, uuid4(), fragile.compile(), str(tmp_path))
    assert server.started == started
