"""The code of a template stays what it was: attempts work in folders of their own, and changed code is noticed."""

import logging
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runs_app.models import ArtifactVersion, PipelineRun
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import finished, wait_for
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus
from zenweb.execution.processes import children_of

pytestmark = pytest.mark.django_db(transaction=True)

CODE = """
import os
import tempfile
from pathlib import Path

from zenweb import pipeline, step

Path("from the import.txt").write_text("made while the code was imported")
DATA = Path("data.csv").read_text()


@step
def looks_around() -> dict[str, str | list[str] | bool]:
    found = sorted(os.listdir("."))
    Path("left behind.txt").write_text("for later runs")
    Path("from the import.txt").write_text("changed")
    Path(tempfile.mkdtemp(), "more").write_text("")
    return {
        "found": found,
        "data": Path("data.csv").read_text() + Path("tables/more.csv").read_text() + DATA,
        "folder": os.getcwd(),
        "temporary": tempfile.gettempdir(),
    }


@pipeline
def looking_around() -> None:
    looks_around()
"""


@pytest.fixture
def looking(
    tmp_path: Path, stacks: dict[str, Stack], alice: User, monkeypatch: pytest.MonkeyPatch
) -> RunTemplate:
    root = tmp_path / "code"
    (root / "tables").mkdir(parents=True)
    (root / "looking.py").write_text(CODE)
    (root / "data.csv").write_text("1,2\n")
    (root / "tables/more.csv").write_text("3,4\n")
    desk = tmp_path / "desk"  # freezing imports the code too, and what that writes is not to be packed
    desk.mkdir()
    (desk / "data.csv").write_text("1,2\n")
    monkeypatch.chdir(desk)
    deployment = freeze("looking.looking_around", alice, stacks["celery"], root)
    return make_template(deployment, alice, "looking")


@pytest.fixture
def code(looking: RunTemplate, own_data_folder: Path) -> Path:
    """Where workers keep the template's code."""
    return own_data_folder / "code" / looking.deployment.code_archive.sha256


def look(looking: RunTemplate, alice: User, worker: StepWorker) -> dict[str, Any]:
    run = finished(ended(looking, alice, worker))
    assert run.status == ExecutionStatus.COMPLETED, run.status_reason
    seen = ArtifactVersion.objects.get(producer_step__run=run)
    return dict(materializers.load(seen.uri, seen.materializer))


def ended(template: RunTemplate, alice: User, worker: StepWorker) -> PipelineRun:
    run = launch(template, alice, {"enable_cache": False})
    worker.run_ready_steps("default")
    return run


def test_what_a_step_writes_beside_the_code_is_its_own(
    looking: RunTemplate, alice: User, worker: StepWorker, code: Path
) -> None:
    first, second = look(looking, alice, worker), look(looking, alice, worker)
    assert first["found"] == second["found"]
    assert "left behind.txt" not in second["found"]
    assert first["data"] == "1,2\n3,4\n1,2\n"
    assert sorted(path.name for path in code.iterdir() if path.suffix) == ["data.csv", "looking.py"]
    for folder in (first["folder"], first["temporary"], second["folder"]):
        wait_for(lambda folder=folder: not Path(folder).exists())


def test_unpacked_code_can_only_be_read(
    looking: RunTemplate, alice: User, worker: StepWorker, code: Path
) -> None:
    look(looking, alice, worker)
    files = [path for path in code.rglob("*") if "__pycache__" not in path.parts]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o222 for path in [code, *files]} == {0}


@pytest.mark.parametrize("change", ["changed", "added", "gone", "linked", "bytecode"])
def test_code_that_was_changed_is_unpacked_again_before_it_is_imported(
    looking: RunTemplate, alice: User, code: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (StepWorker(name=name, queues=["default"], slots=1) for name in ("w1", "w2"))
    look(looking, alice, first)
    spoil(code, change)
    with caplog.at_level(logging.WARNING):
        assert look(looking, alice, second)["data"] == "1,2\n3,4\n1,2\n"
    first.shut_down()
    second.shut_down()
    assert sorted(path.name for path in code.iterdir()) in (
        ["data.csv", "looking.py", "tables"],
        ["__pycache__", "data.csv", "looking.py", "tables"],
    )
    assert not (code / "__pycache__/planted.pyc").exists()
    assert ("is not what its archive holds" in caplog.text) is (change != "bytecode")
    assert [path.name for path in code.parent.iterdir()] == [code.name]


def spoil(code: Path, change: str) -> None:
    for folder in (code, code / "tables"):
        folder.chmod(0o755)
    if change == "changed":
        (code / "data.csv").unlink()
        (code / "data.csv").write_text("9,9\n")
    elif change == "added":
        (code / "tables/sitecustomize.py").write_text("")
    elif change == "gone":
        (code / "tables/more.csv").unlink()
    elif change == "linked":
        (code / "data.csv").rename(code.parent.parent / "data.csv")
        (code / "data.csv").symlink_to(code.parent.parent / "data.csv")
    else:
        (code / "__pycache__").mkdir(exist_ok=True)
        (code / "__pycache__/planted.pyc").write_bytes(b"")


def place_of(pid: int) -> Path:
    """The folder that a process works in; the root for one that has just ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").resolve(strict=True)
    return Path("/")


def test_a_place_that_cannot_be_made_fails_the_attempt_with_its_reason(
    looking: RunTemplate, alice: User, worker: StepWorker
) -> None:
    look(looking, alice, worker)
    parent = next(iter(worker.parents.all()))
    home = Path(f"/proc/{parent.process.pid}/cwd").resolve()
    assert home.parent == worker.parents.upbringing.scratch
    wait_for(
        lambda: [place_of(child).parent.parent for child in children_of(parent.process.pid)] == [home.parent]
    )
    for place in home.parent.iterdir():  # that of a process that waits for an attempt is among them
        shutil.rmtree(place, ignore_errors=True)  # the one of a process that just ended goes meanwhile
    run = finished(ended(looking, alice, worker))
    assert run.status == ExecutionStatus.FAILED
    assert "FileNotFoundError" in run.status_reason
