"""Environments go when nobody has used them for long, and never while anybody does."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from runs_app import environment_folders
from runs_app import environments as environments_module
from runs_app.environment_folders import EnvironmentFolders
from runs_app.environments import Recipe
from runs_app.models import Environment, PipelineRun
from runs_app.services import stop_run
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.packages import make_tiny_wheel
from tests.runs.test_environments import BUILD_LIMIT, ended
from tests.runs.test_worker import wait_for
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.execution.environment_builder import remove_unfinished
from zenweb.settings import env_days

MONTH = timedelta(days=30)
HOLDS_IT_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from runs_app.environment_folders import EnvironmentFolders
folders = EnvironmentFolders(Path(sys.argv[1]))
print(folders.hold("old"), flush=True)
time.sleep(300)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "environments"
    root.mkdir()
    return root


@pytest.fixture
def folders(root: Path) -> Iterator[EnvironmentFolders]:
    make_folder(root, "old", used_days_ago=31)
    with closing(EnvironmentFolders(root)) as folders:
        yield folders


def make_folder(root: Path, name: str, used_days_ago: float) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    (root / f".{name}.used").touch()
    grow_old(root, name, used_days_ago)
    return folder


def grow_old(root: Path, name: str, days: float) -> None:
    moment = time.time() - days * 86_400
    for path in (root / name, root / f".{name}.used"):
        os.utime(path, (moment, moment))


def test_what_nobody_used_for_long_comes_the_oldest_first(root: Path, folders: EnvironmentFolders) -> None:
    make_folder(root, "older", used_days_ago=90)
    make_folder(root, "new", used_days_ago=29)
    (root / "zenweb-0123").mkdir()  # the SDK's wheel
    os.utime(root / "zenweb-0123", (0, 0))
    assert folders.unused_for(MONTH) == ["older", "old"]


def test_what_was_just_asked_for_is_in_use(folders: EnvironmentFolders) -> None:
    assert folders.hold("old")
    assert folders.unused_for(MONTH) == []


def test_what_is_removed_is_gone_and_cannot_be_used(root: Path, folders: EnvironmentFolders) -> None:
    assert folders.remove("old")
    assert not folders.hold("old")
    assert [path.name for path in root.iterdir()] == [".old.used"]


def test_what_another_process_uses_stays_until_that_is_dead(root: Path, folders: EnvironmentFolders) -> None:
    command = [sys.executable, "-c", HOLDS_IT_UNTIL_KILLED, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            grow_old(root, "old", 31)  # as if this machine had slept for a month
            assert not folders.remove("old")
            assert (root / "old").exists()
        finally:
            holder.kill()
    assert folders.remove("old")


def test_what_is_not_used_any_more_is_let_go(
    root: Path, folders: EnvironmentFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = EnvironmentFolders(root)
    assert folders.hold("old")
    assert folders.renew([]) == ["old"]  # a warm parent may just be coming
    monkeypatch.setattr(environment_folders, "HANDOVER", 0.0)
    assert folders.renew(["old"]) == ["old"]
    assert not others.remove("old")
    assert folders.renew([]) == []
    assert folders.renew(["old"]) == ["old"]  # a warm parent that took its time
    assert not others.remove("old")
    assert folders.renew([]) == []
    assert others.remove("old")


def test_a_removal_that_was_killed_is_finished_by_the_next_worker(
    root: Path, folders: EnvironmentFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".old.lock").touch()  # as its build left it
    monkeypatch.setattr(environment_folders.shutil, "rmtree", lambda *_, **__: None)
    folders.remove("old")
    monkeypatch.undo()
    assert len(list(root.glob(".old-*"))) == 1
    remove_unfinished(root)
    assert not list(root.glob(".old-*"))


@pytest.mark.parametrize("value", ["-1", "soon", "40000"])
def test_a_number_of_days_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENWEB_KEEP_ENVIRONMENTS", value)
    with pytest.raises(ImproperlyConfigured, match="ZENWEB_KEEP_ENVIRONMENTS must be"):
        env_days("ZENWEB_KEEP_ENVIRONMENTS", 30)
    monkeypatch.setenv("ZENWEB_KEEP_ENVIRONMENTS", "0")
    assert env_days("ZENWEB_KEEP_ENVIRONMENTS", 30) is None


# -- by workers -------------------------------------------------------------------------------------------------------


@pytest.fixture
def packages(tmp_path: Path, settings: Any) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    make_tiny_wheel(folder)
    links = {"UV_FIND_LINKS": str(folder), "PIP_FIND_LINKS": str(folder)}
    settings.INSTALLER_ENVIRONMENT = {**settings.INSTALLER_ENVIRONMENT, **links}


@pytest.fixture
def needy(packages: None, stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("needy.needy_pipeline", alice, stacks["celery"]), alice, "needy")


@pytest.fixture
def hire(
    own_data_folder: Path, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> Iterator[Callable[[str], StepWorker]]:
    """A worker that looks for what is not used all the time."""
    monkeypatch.setattr(environments_module, "PRUNED_EVERY", 0.1)
    hired = list[StepWorker]()

    def hire(queue: str) -> StepWorker:
        worker = StepWorker(name=f"serves {queue}", queues=[queue], slots=1)
        hired.append(worker)
        worker.start()
        return worker

    yield hire
    for worker in hired:
        worker.shut_down()


def test_an_environment_stays_while_a_warm_parent_runs_in_it_and_goes_after(
    needy: RunTemplate,
    alice: User,
    hire: Callable[[str], StepWorker],
    own_data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = hire("default")
    run = launch(needy, alice)
    worker.run_ready_steps("default")
    assert ended(run).status == ExecutionStatus.COMPLETED, run.status_reason
    root = own_data_folder / "environments"
    [name] = [path.parent.name for path in root.glob("*/pyvenv.cfg")]
    other = hire("other")
    monkeypatch.setattr(environment_folders, "HANDOVER", 0.0)
    for _ in range(2):  # time and again it is found old, and the warm parent's worker says that it is not
        grow_old(root, name, 31)
        wait_for(lambda: time.time() - (root / f".{name}.used").stat().st_mtime < 3600)
    assert (root / name).exists()
    worker.shut_down()
    wait_for(lambda: not worker.parents.all())
    Environment.objects.update(used_at=timezone.now() - timedelta(days=31))
    grow_old(root, name, 31)
    wait_for(lambda: not (root / name).exists())
    wait_for(lambda: not Environment.objects.exists())
    assert other.environments.told() == {}
    monkeypatch.undo()
    again = launch(needy, alice)
    hire("default").run_ready_steps("default")
    wait_for(lambda: PipelineRun.objects.filter(pk=again.pk, status="completed").exists(), BUILD_LIMIT)


def test_an_environment_that_an_open_run_will_need_stays(
    needy: RunTemplate, alice: User, hire: Callable[[str], StepWorker], own_data_folder: Path
) -> None:
    root = own_data_folder / "environments"
    name = Recipe(tuple(needy.deployment.requirements)).hash
    make_folder(root, name, used_days_ago=90)
    make_folder(root, "another", used_days_ago=31)
    run = launch(needy, alice)
    hire("other")
    wait_for(lambda: not (root / "another").exists())
    assert (root / name).exists()
    stop_run(actor=alice, run=run)
    wait_for(lambda: not (root / name).exists())


def test_nothing_is_removed_where_all_is_to_be_kept(
    hire: Callable[[str], StepWorker], own_data_folder: Path, settings: Any
) -> None:
    settings.KEEP_ENVIRONMENTS = None
    root = own_data_folder / "environments"
    make_folder(root, "old", used_days_ago=900)
    worker = hire("other")
    beat = worker.row.beat
    wait_for(lambda: type(worker.row).objects.get(pk=worker.row.pk).beat > beat + 3)
    assert (root / "old").exists()
