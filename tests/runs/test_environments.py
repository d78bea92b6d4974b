"""Environments of pipelines with requirements are really made, by the installers that there are."""

import fcntl
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from runs_app import environments as environments_module
from runs_app import recording
from runs_app.choices import Knowledge, Offer, ask_for_choices
from runs_app.environments import CREDENTIALS, Build, Recipe
from runs_app.models import (
    ArtifactVersion,
    Environment,
    PipelineRun,
    Preparation,
    StepAttempt,
    StepRun,
    Worker,
)
from runs_app.services import stop_run
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.packages import make_slow_package, make_tiny_wheel
from tests.runs.test_worker import finished, in_background, let_warm_up, wait_for
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus
from zenweb.execution.environment_builder import FAILED

pytestmark = pytest.mark.django_db(transaction=True)
BUILD_LIMIT = 120  # seconds: the SDK's own packages may have to be downloaded


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, settings: Any) -> Path:
    """Where installers look for packages beside their index."""
    folder = tmp_path / "packages"
    folder.mkdir()
    settings.INSTALLER_ENVIRONMENT = {
        **settings.INSTALLER_ENVIRONMENT,
        "UV_FIND_LINKS": str(folder),
        "PIP_FIND_LINKS": str(folder),
    }
    return folder


@pytest.fixture
def make(stacks: dict[str, Stack], alice: User) -> Callable[[str], RunTemplate]:
    return lambda name: make_template(freeze(f"needy.{name}", alice, stacks["celery"]), alice, name)


@pytest.fixture
def slow(make: Callable[[str], RunTemplate], packages: Path, tmp_path: Path) -> RunTemplate:
    """Its environment is being made for ever."""
    make_slow_package(packages, tmp_path)
    return make("slow_pipeline")


def without_uv(settings: Any) -> None:
    path = settings.INSTALLER_ENVIRONMENT["PATH"].split(os.pathsep)
    kept = [folder for folder in path if not Path(folder, "uv").exists()]
    settings.INSTALLER_ENVIRONMENT = {**settings.INSTALLER_ENVIRONMENT, "PATH": os.pathsep.join(kept)}


def environments(data: Path) -> list[str]:
    """What lies where environments are made, but for locks, notes and the SDK's wheel."""
    names = [path.name for path in (data / "environments").iterdir() if path.is_dir()]
    return [name for name in names if not name.startswith("zenweb-")]


def sentences(run: PipelineRun) -> str:
    return "\n".join(run.events.values_list("sentence", flat=True))


def ended(run: PipelineRun) -> PipelineRun:
    """Without any ring: who made the environment looks again."""
    wait_for(lambda: PipelineRun.objects.filter(pk=run.pk, end_time__isnull=False).exists(), BUILD_LIMIT)
    return finished(run)


def builders() -> list[int]:
    """The processes that make environments for this one."""
    below = psutil.Process().children(recursive=True)
    return [process.pid for process in below if "zenweb.execution.environment_builder" in command_of(process)]


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def what_it_found(run: PipelineRun) -> dict[str, str]:
    version = ArtifactVersion.objects.get(producer_step__run=run)
    return materializers.load(version.uri, version.materializer)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_steps_run_in_the_environment_that_their_pipeline_names(
    installer: str,
    make: Callable[[str], RunTemplate],
    alice: User,
    packages: Path,
    settings: Any,
    own_data_folder: Path,
    worker: StepWorker,
    request: pytest.FixtureRequest,
) -> None:
    if installer == "pip":
        without_uv(settings)
    else:
        assert shutil.which("uv", path=settings.INSTALLER_ENVIRONMENT["PATH"])
    make_tiny_wheel(packages)
    template = make("needy_pipeline")
    runs = [launch(template, alice) for _ in range(2)]
    other = StepWorker(name="w2", queues=["default"], slots=1)
    request.addfinalizer(other.shut_down)
    other.start()
    for one in (worker, other):
        one.run_ready_steps("default")
    assert [ended(run).status for run in runs] == [ExecutionStatus.COMPLETED] * 2, runs[0].status_reason
    environment = Environment.objects.get()
    folder = own_data_folder / "environments" / environment.hash
    for run in runs:
        found = what_it_found(run)
        assert found["zenweb_tests_tiny"] == "1.0"
        assert found["prefix"] == found["VIRTUAL_ENV"] == str(folder)
        assert found["program"] == str(folder / "bin" / "tiny-says")
        assert found["said"] == "I am 1.0"
        absent = ("django", "zenweb.settings", "zenweb.api", "runs_app", "templates_app", "numpy")
        assert {found[module] for module in absent} == {"is not there"}
        assert f"Environment {environment.hash} was made in" in sentences(run)
    assert environments(own_data_folder) == [environment.hash]
    assert (environment.status, environment.requirements) == ("ready", ["zenweb-tests-tiny==1.0"])
    assert environment.made_at is not None
    later = launch(template, alice)
    worker.run_ready_steps("default")
    assert ended(later).status == ExecutionStatus.COMPLETED  # perhaps by the other worker
    assert "Environment" not in sentences(later)


def test_a_failure_is_the_runs_and_a_later_run_tries_again(
    make: Callable[[str], RunTemplate], alice: User, worker: StepWorker, packages: Path, own_data_folder: Path
) -> None:
    make_tiny_wheel(packages)
    template = make("impossible_pipeline")
    run = launch(template, alice)
    worker.run_ready_steps("default")
    assert ended(run).status == ExecutionStatus.FAILED
    assert "EnvironmentFailed: Environment" in run.status_reason
    said = run.status_reason.partition("last lines:")[2]
    assert said.count("no version of zenweb-tests-tiny==99") == 1 or "No matching distribution" in said
    assert said.strip() in StepAttempt.objects.get(step__run=run).log_tail
    steps = {step.name: step for step in run.steps.all()}
    failed = [step for step in steps.values() if step.status == ExecutionStatus.FAILED]
    assert [step.attempt for step in failed] == [1]  # not tried again, however often the step itself would be
    other = next(step for step in steps.values() if step not in failed)
    assert (other.status, other.attempt) == (ExecutionStatus.STOPPED, 0)
    assert other.status_reason == "It was not started, because the run could not be prepared."
    assert Environment.objects.get().status == "failed"
    assert "zenweb-tests-tiny==99" in Environment.objects.get().log_tail
    assert not environments(own_data_folder)
    assert Worker.objects.get(pk=worker.row.pk).is_alive
    make_tiny_wheel(packages, "99")
    again = launch(template, alice)
    worker.run_ready_steps("default")
    assert ended(again).status == ExecutionStatus.COMPLETED, again.status_reason


def test_while_it_is_made_the_run_says_so_the_worker_lives_and_stop_ends_it(
    slow: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, own_data_folder: Path, rest: Any
) -> None:
    run = launch(slow, alice)
    worker.run_ready_steps("default")
    step = run.steps.get()
    addresses = [f"/api/v1/runs/{run.id}", f"/api/v1/runs?name={run.name}", f"/api/v1/steps/{step.id}"]
    for address in addresses:
        wait_for(lambda address=address: " is being made" in rest.get(address).text, 30)
    # what the installer says
    wait_for(lambda: re.search(r"is being made: \w+", rest.get(addresses[-1]).text), 60)
    build = int(wait_for((tmp_path / "builds").exists, 60) and (tmp_path / "builds").read_text())
    beat = Worker.objects.get(pk=worker.row.pk).beat
    wait_for(lambda: Worker.objects.get(pk=worker.row.pk).beat > beat + 1)
    assert run.events.filter(sentence__endswith="(zenweb-tests-tiny-slow) is being made.").count() == 1
    asked = time.monotonic()
    stop_run(actor=alice, run=run)
    assert finished(run).status == ExecutionStatus.STOPPED
    wait_for(lambda: not psutil.pid_exists(build), 5)
    wait_for(lambda: not worker.environments.told(), 5)
    assert time.monotonic() - asked < 5
    assert not environments(own_data_folder)
    assert Environment.objects.get().status == "failed"


def test_a_step_that_waits_for_its_environment_keeps_no_slot_from_others(
    slow: RunTemplate,
    make: Callable[[str], RunTemplate],
    template: RunTemplate,
    alice: User,
    worker: StepWorker,
    tmp_path: Path,
) -> None:
    waiting = [launch(needy, alice) for needy in (slow, slow, make("slow_twin_pipeline"))]
    assert worker.run_ready_steps("default") == 0
    wait_for((tmp_path / "builds").exists, 60)
    other = launch(template, alice)
    worker.run_ready_steps("default")  # or its own hands did it
    assert ended(other).status == ExecutionStatus.COMPLETED
    assert len(builders()) == 1
    steps = StepRun.objects.filter(run__in=waiting)
    assert set(steps.values_list("status", "attempt", "worker")) == {(ExecutionStatus.INITIALIZING, 0, None)}
    assert not StepAttempt.objects.filter(step__in=steps).exists()
    for run in waiting:
        wait_for(lambda run=run: "is being made." in sentences(run))


def test_a_stopped_run_does_not_end_what_another_waits_for(
    slow: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    runs = [launch(slow, alice) for _ in range(2)]
    worker.run_ready_steps("default")
    build = int(wait_for((tmp_path / "builds").exists, 60) and (tmp_path / "builds").read_text())
    wait_for(lambda: "is being made." in sentences(runs[1]))
    stop_run(actor=alice, run=runs[0])
    beat = Worker.objects.get(pk=worker.row.pk).beat
    wait_for(lambda: Worker.objects.get(pk=worker.row.pk).beat > beat + 2)
    assert psutil.pid_exists(build)
    stop_run(actor=alice, run=runs[1])
    wait_for(lambda: not psutil.pid_exists(build), 5)


def test_whoever_has_the_environment_takes_what_waits_for_another_to_make_it(
    slow: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run = launch(slow, alice)
    worker.run_ready_steps("default")
    wait_for((tmp_path / "builds").exists, 60)
    elsewhere = Worker.objects.create(name="w2", hostname="h", pid=1, queues=["default"], slots=1)
    attempt = recording.claim_ready_step(elsewhere, "default")
    assert attempt is not None
    assert (attempt.step.run_id, attempt.number) == (run.pk, 1)


def test_one_failure_is_the_answer_to_all_runs_that_waited_for_it(
    make: Callable[[str], RunTemplate], alice: User, worker: StepWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Recipe] = []
    monkeypatch.setattr(
        environments_module, "Build", lambda recipe, user: begun.append(recipe) or Build(recipe)
    )
    template = make("impossible_pipeline")
    let_warm_up(worker)  # it fails as well, and who comes later tries again
    begun.clear()
    runs = [launch(template, alice) for _ in range(3)]
    worker.run_ready_steps("default")
    assert {ended(run).status for run in runs} == {ExecutionStatus.FAILED}
    assert len({run.status_reason for run in runs}) == 1
    assert len(begun) == 1
    assert StepAttempt.objects.count() == 3


def test_an_installer_that_cannot_be_started_is_the_runs_clear_error(
    slow: RunTemplate, alice: User, worker: StepWorker, own_data_folder: Path
) -> None:
    shutil.rmtree(own_data_folder / "environments", ignore_errors=True)
    (own_data_folder / "environments").write_text("not a folder")
    run = launch(slow, alice)
    worker.run_ready_steps("default")
    assert ended(run).status == ExecutionStatus.FAILED
    assert "cannot be made.\nThe worker could not see to it: " in run.status_reason


def test_a_shut_down_worker_ends_what_it_makes_and_holds_no_step(
    slow: RunTemplate, alice: User, tmp_path: Path, own_data_folder: Path
) -> None:
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    run = launch(slow, alice)
    worker.run_ready_steps("default")
    wait_for((tmp_path / "builds").exists, 60)
    worker.start()
    worker.shut_down()
    build = int((tmp_path / "builds").read_text())
    wait_for(lambda: not psutil.pid_exists(build) and not builders(), 10)
    step = StepRun.objects.get(run=run)
    assert (step.status, step.attempt, step.worker_deaths) == (ExecutionStatus.INITIALIZING, 0, 0)
    assert not environments(own_data_folder)


def test_what_takes_too_long_fails(
    slow: RunTemplate, alice: User, worker: StepWorker, settings: Any, tmp_path: Path
) -> None:
    settings.ENVIRONMENT_LIMIT /= 100
    run = launch(slow, alice)
    worker.run_ready_steps("default")
    assert ended(run).status == ExecutionStatus.FAILED
    assert "It took longer than 6 s and was ended." in run.status_reason


def test_a_killed_build_leaves_nothing_that_looks_finished(
    slow: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, own_data_folder: Path
) -> None:
    run = launch(slow, alice)
    worker.run_ready_steps("default")
    wait_for((tmp_path / "builds").exists, 60)
    orphan = psutil.Process(int((tmp_path / "builds").read_text()))
    try:
        os.kill(builders()[0], signal.SIGKILL)
        ended(run)
    finally:
        orphan.kill()
    assert run.status == ExecutionStatus.FAILED
    assert f"ended with {-signal.SIGKILL}" in run.status_reason or "cannot be made" in run.status_reason
    left = environments(own_data_folder)
    assert len(left) == 1
    assert left[0].startswith(".")
    StepWorker(name="w2", queues=["default"], slots=1).shut_down()
    assert not environments(own_data_folder)


def test_the_first_failure_answers_all_that_waited_for_it(own_data_folder: Path) -> None:
    recipe = Recipe(("zenweb-tests-tiny==1.0",))
    recipe.folder.parent.mkdir(parents=True)
    with (recipe.folder.parent / f".{recipe.hash}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as somebody who makes it
        build = Build(recipe)
        answer: list[int] = []
        waiting = in_background(lambda: answer.append(build.watch(lambda line: None)))
        wait_for(lambda: is_waiting_for(lock, build))
        failure = {"moment": time.monotonic(), "reason": "the index said no"}
        (recipe.folder.parent / f".{recipe.hash}.failed").write_text(json.dumps(failure))
    waiting.join(10)
    assert (answer, list(build.tail)) == ([FAILED], ["the index said no"])
    assert not environments(own_data_folder)


def is_waiting_for(lock: IO[str], build: Build) -> bool:
    with suppress(psutil.Error):
        return lock.name in {opened.path for opened in psutil.Process(build.process.pid).open_files()}
    return False


def test_what_decides_the_content_decides_the_hash() -> None:
    hashes = {
        Recipe(requirements).hash for requirements in [("a==1", "b==1"), ("b==1", "a==1"), ("a==2", "b==1")]
    }
    assert len(hashes) == 2
    assert Recipe(("a==1",)).python != Path(sys.executable)


def test_the_password_of_an_index_is_told_to_nobody() -> None:
    line = "Looking in indexes: https://robot:secret@packages.example/simple, https://other.example/simple"
    assert "secret" not in CREDENTIALS.sub("://•••@", line)
    assert "https://other.example/simple" in CREDENTIALS.sub("://•••@", line)


# -- what is asked before a run ----------------------------------------------------------------------------------------


def ask(template: RunTemplate) -> Offer:
    """Again and again, as a page does: what nobody repeats is dropped."""
    assert template.user is not None
    deadline = time.monotonic() + BUILD_LIMIT
    while True:
        offer = ask_for_choices(
            actor=template.user,
            version=template.version,
            step="chooses",
            parameter="version",
            configuration=None,
            wait=2,
        )
        if offer.knowledge is not Knowledge.ASKING or time.monotonic() > deadline:
            return offer


def test_what_may_be_chosen_is_asked_in_the_pipelines_environment(
    make: Callable[[str], RunTemplate], packages: Path, worker: StepWorker
) -> None:
    make_tiny_wheel(packages)
    assert ask(make("choosy_pipeline")).options == [("1.0", "1.0")]
    assert Preparation.objects.get().attempt > 1  # given back for as long as the environment was being made


def test_an_environment_that_cannot_be_made_is_why_nothing_may_be_chosen(
    make: Callable[[str], RunTemplate], worker: StepWorker
) -> None:
    offer = ask(make("choosing_in_vain_pipeline"))
    assert offer.knowledge is Knowledge.FAILED
    assert "Environment" in offer.sentence
    assert "cannot be made" in offer.sentence
