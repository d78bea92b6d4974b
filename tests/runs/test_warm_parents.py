"""The traps of forking, and the bounds of what forks: with real processes."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from textwrap import indent
from typing import Any

import psutil
import pytest
from django.utils import timezone

from runs_app.logs import read_log
from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt, StepRun
from runs_app.services import stop_run
from runs_app.warm_parent import WarmParent, local_today
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import finished, in_background, let_warm_up, wait_for
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus

pytestmark = pytest.mark.django_db(transaction=True)
MODULE = """
import sys
import time
from pathlib import Path

from zenweb import pipeline, step

IMPORTED_AT = time.time_ns()
if "pytest" not in sys.modules:  # only where steps run
{at_import}


@step(enable_cache=False{options})
def acts(value: str = "") -> list:
{body}


@pipeline
def {name}_pipeline() -> None:
    acts()
"""
LOADS = """
import os
import time

from zenweb import pipeline, step

IMPORTED_BY = os.getpid()


class Value:
    def __setstate__(self, state: dict) -> None:
        until = time.monotonic() + 2
        while "{how}" == "slow" and time.monotonic() < until:
            pass
        if "{how}" == "hanging" and os.getpid() != IMPORTED_BY:
            time.sleep(60)

    def __getstate__(self) -> dict:
        return {{"a": 1}}


@step(enable_cache=False)
def makes() -> Value:
    return Value()


@step(enable_cache=False)
def takes(value: Value) -> int:
    return 1


@pipeline
def loads_pipeline() -> None:
    takes(makes())
"""
LIES = """
import os, stat
for opened in filter(os.path.exists, [f"/proc/self/fd/{{number}}" for number in range(3, 100)]):
    if stat.S_ISSOCK(os.stat(opened).st_mode):
        os.write(int(os.path.basename(opened)), {line!r})
return []
"""
HANGS_WHEN_FORKED = "import os, time; os.register_at_fork(after_in_child=lambda: time.sleep(60))"
LEFT_BEHIND = {
    "thread": (
        "import threading; threading.Thread(target=time.sleep, args=(60,), name='feeder', daemon=True).start()",
        "the thread 'feeder', which still runs",
    ),
    "socket": ("import socket; ENDS = socket.socketpair()", "an open connection or socket"),
    "database": ("import sqlite3; DATABASE = sqlite3.connect(':memory:')", "an open SQLite connection"),
    "process": ("import subprocess; HELPER = subprocess.Popen(['sleep', '60'])", "a process that it started"),
    "cuda": (
        "import types\n"
        "torch = sys.modules['torch'] = types.ModuleType('torch')\n"
        "torch.cuda, torch.seed = types.SimpleNamespace(is_initialized=lambda: True), lambda: 0",
        "a GPU that CUDA is using",
    ),
    "openmp": (
        "import threadpoolctl, sklearn.cluster, numpy\n"
        "threadpoolctl.threadpool_limits(4)\n"
        "sklearn.cluster.KMeans(2, n_init=1).fit(numpy.random.rand(2000, 2))",
        "of a library (OpenMP, for instance)",
    ),
}


@pytest.fixture
def write(tmp_path: Path, stacks: dict[str, Stack], alice: User) -> Callable[..., RunTemplate]:
    """A template of a pipeline of one step; its module has a name of its own, since a process imports a name once."""

    def write(
        name: str, body: str = "return [IMPORTED_AT]", at_import: str = "pass", options: str = ""
    ) -> RunTemplate:
        folder = tmp_path / name
        folder.mkdir()
        text = MODULE.format(
            name=name, body=indent(body, "    "), at_import=indent(at_import, "    "), options=options
        )
        (folder / f"{name}.py").write_text(text)
        deployment = freeze(f"{name}.{name}_pipeline", alice, stacks["celery"], folder)
        return make_template(deployment, alice, name)

    return write


@pytest.fixture
def result(alice: User, worker: StepWorker) -> Callable[[RunTemplate], Any]:
    """What a new run of the template's step returns."""

    def result(template: RunTemplate) -> Any:
        run = launch(template, alice)
        worker.run_ready_steps("default")
        assert finished(run).status == ExecutionStatus.COMPLETED, run.status_reason
        return returned(run)

    return result


def returned(run: PipelineRun) -> Any:
    version = ArtifactVersion.objects.get(producer_step__run=run)
    return materializers.load(version.uri, version.materializer)


def sentences(run: PipelineRun) -> str:
    return "\n".join(run.events.values_list("sentence", flat=True))


def only_parent(worker: StepWorker) -> WarmParent:
    return next(iter(worker.parents.all()))


def test_no_two_runs_draw_the_same_random_numbers(write: Any, result: Any) -> None:
    body = "import random, numpy\nreturn [random.random(), float(numpy.random.rand())]"
    template = write("draws", body, at_import="import random, numpy")
    drawn = [result(template) for _ in range(3)]
    assert len({numbers[0] for numbers in drawn}) == len({numbers[1] for numbers in drawn}) == 3


def test_a_rehearsal_that_kills_its_process_is_the_last_one_and_leaves_nothing(
    write: Any, result: Any, worker: StepWorker, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    deadly = "from pathlib import Path; import os; from zenweb.execution.rehearsal import Script\n"
    deadly += f"def dies(self): Path({str(told)!r}).open('a').write(f'{{self.folder}}\\n'); os._exit(1)\n"
    template = write("deadly", at_import=f"{deadly}Script.rehearse = dies")
    worker.warm_up(template.version.deployment_id)
    wait_for(lambda: told.exists() and told.read_text().endswith("\n"))
    folder = Path(told.read_text().strip())
    wait_for(lambda: not folder.exists())
    assert [len(result(template)) for _ in range(2)] == [1, 1]
    assert told.read_text().strip() == str(folder)


def test_a_module_that_only_a_worker_cannot_import_is_told_in_the_log(
    write: Any, alice: User, worker: StepWorker
) -> None:
    run = launch(write("absent", at_import="raise RuntimeError('not here')"), alice)
    worker.run_ready_steps("default")
    step = StepRun.objects.get(run=finished(run))
    assert read_log(step) == step.exception["traceback"]
    assert "RuntimeError: not here" in read_log(step)


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_a_script_that_looks_at_a_run_at_its_top_level_runs_on_a_worker(
    write: Any, result: Any, how: str
) -> None:
    look = "from zenweb.client import Client\nassert Client().get_pipeline_run('nightly').status == 'failed'"
    assert len(result(write(f"script_{how}", at_import=look, options=f", process={how!r}"))) == 1


@pytest.mark.parametrize("moment", ["-1e300", "1e300", "NaN", "0"])
def test_a_moment_that_cannot_be_is_not_believed(
    write: Any, alice: User, worker: StepWorker, moment: str
) -> None:
    """User code says itself that it is over, in its process's own socket."""
    completed = f'{{"event": "completed", "is_alone": true, "at": {moment}}}\n'
    run = launch(write("lying", LIES.format(line=completed.encode())), alice)
    begun = timezone.now()
    worker.run_ready_steps("default")
    step = StepRun.objects.get(run=finished(run))
    assert begun <= step.start_time <= step.end_time <= timezone.now()


@pytest.mark.parametrize(
    "line",
    [b"no json\n", b"[]\n", b'{"event": "completed", "is_alone": 5}\n', b"[" * 100_000 + b"\n", b"\xff\n"],
)
def test_what_cannot_be_read_ends_the_process_that_said_it(
    write: Any, alice: User, worker: StepWorker, line: bytes, tmp_path: Path
) -> None:
    told = tmp_path / "pid"
    body = (
        LIES.format(line=line).replace("return []", "")
        + f"open({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    )
    run = launch(write("babbling", body), alice)
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.FAILED
    assert "sent its worker what cannot be read, and was ended" in run.status_reason
    pid = told.read_text() if told.exists() else ""  # it may be ended before it gets so far
    assert not pid or not psutil.pid_exists(int(pid))


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="there is no virtual environment")
def test_a_step_finds_the_programs_of_the_environment_it_runs_in(
    write: Any, result: Any, worker: StepWorker
) -> None:
    worker.parents.upbringing = replace(worker.parents.upbringing, environment={"PATH": "/usr/bin:/bin"})
    body = "import shutil\nreturn [shutil.which('zenweb')]"
    assert result(write("finding", body)) == [str(Path(sys.executable).parent / "zenweb")]


def test_a_run_is_stopped_while_its_code_is_imported(write: Any, alice: User, worker: StepWorker) -> None:
    hangs = "import sys, time\nif 'pytest' not in sys.modules:\n    time.sleep(100)"
    for name in ("slow", "slower"):
        run = launch(write(name, at_import=hangs), alice)
        working = in_background(lambda: worker.run_ready_steps("default"))
        wait_for(lambda: worker.parents._coming)
        stop_run(actor=alice, run=run)
        working.join(5)
        assert not working.is_alive()
        assert finished(run).status == ExecutionStatus.STOPPED


@pytest.mark.parametrize("how", ["sys.exit(3)", "raise ValueError('copy')", "return [1]"])
def test_a_copy_that_a_step_makes_of_its_process_tells_nothing(write: Any, result: Any, how: str) -> None:
    body = f"import os, sys\nchild = os.fork()\nif child == 0:\n    {how}\nos.waitpid(child, 0)\nreturn [6]"
    assert result(write("forking", body)) == [6]


@pytest.mark.parametrize("error", ["asyncio.CancelledError", "GeneratorExit", "BaseException"])
def test_whatever_a_step_raises_is_its_failure(
    write: Any, alice: User, worker: StepWorker, error: str
) -> None:
    run = launch(write("raising", f"import asyncio\nraise {error}('cut short')"), alice)
    worker.run_ready_steps("default")
    assert finished(run).status_reason.endswith(f"{error.rpartition('.')[2]}: cut short")


def test_openmp_used_at_import_does_not_hang_the_steps(write: Any, result: Any, worker: StepWorker) -> None:
    fit = "import sklearn.cluster, numpy\nsklearn.cluster.KMeans(2, n_init=1).fit(numpy.random.rand(2000, 2))"
    assert result(write("clusters", f"{fit}\nreturn [1]", at_import=fit)) == [1]
    assert only_parent(worker).key.process == "fork"


@pytest.mark.parametrize("kind", LEFT_BEHIND)
def test_what_an_import_leaves_behind_has_the_step_spawned_and_the_ledger_says_why(
    write: Any, alice: User, worker: StepWorker, kind: str
) -> None:
    at_import, reason = LEFT_BEHIND[kind]
    template = write(f"leaves_{kind}", at_import=at_import)
    runs = [launch(template, alice) for _ in range(2)]
    worker.run_ready_steps("default")
    for run in runs:
        assert finished(run).status == ExecutionStatus.COMPLETED, run.status_reason
        told = (
            f"Steps of this run get processes that import the code themselves: importing leaves_{kind} left "
        )
        assert run.events.filter(sentence__startswith=told, sentence__endswith=f"{reason}.").count() == 1
    assert returned(runs[0]) != returned(runs[1])  # each was imported anew


def test_nothing_is_said_and_nothing_spawned_where_an_import_leaves_nothing(
    write: Any, alice: User, worker: StepWorker
) -> None:
    import_all = "import numpy, pandas, sklearn, matplotlib, plotly, asyncio, concurrent.futures as futures\n"
    use = "with futures.ThreadPoolExecutor(4) as pool: list(pool.map(str, range(9)))"
    runs = [launch(template, alice) for template in [write("heavy", at_import=import_all + use)] * 2]
    worker.run_ready_steps("default")
    assert [finished(run).status for run in runs] == [ExecutionStatus.COMPLETED] * 2
    assert returned(runs[0]) == returned(runs[1])
    assert "import the code themselves" not in sentences(runs[0])


def test_what_was_computed_at_import_is_new_on_a_new_day(write: Any, result: Any, worker: StepWorker) -> None:
    template = write("of_yesterday")
    today = result(template)
    assert result(template) == today
    tomorrow = local_today() + timedelta(days=1)
    worker.parents.upbringing = replace(worker.parents.upbringing, today=lambda: tomorrow)
    assert result(template) != today
    assert len(worker.parents.all()) == 1


def test_a_parent_is_replaced_when_it_is_old(write: Any, result: Any, worker: StepWorker) -> None:
    template = write("aged")
    young = result(template)
    bound(worker, age=timedelta(0))
    assert result(template) != young


def test_a_step_may_ask_to_be_spawned(write: Any, result: Any, alice: User, worker: StepWorker) -> None:
    template = write("asks", "import os\nreturn [IMPORTED_AT, os.getppid()]", options=', process="spawn"')
    first, second = result(template), result(template)
    assert first[0] != second[0]
    assert first[1] == only_parent(worker).process.pid
    assert len(worker.parents.all()) == 1
    assert "import the code themselves" not in sentences(PipelineRun.objects.first())


def test_the_operator_may_have_all_steps_spawned(write: Any, result: Any, settings: Any) -> None:
    settings.STEP_PROCESS = "spawn"
    template = write("everywhere")
    assert result(template) != result(template)


def test_a_spawned_step_fails_prints_and_stops_as_a_forked_one(
    write: Any, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    spawn = ', process="spawn"'
    failing = launch(write("fails", "print('so far')\nraise ValueError('no data')", options=spawn), alice)
    broken = launch(write("broken", at_import="raise KeyError('at import')", options=spawn), alice)
    body = f"Path({str(tmp_path)!r}, 'begun').touch()\ntime.sleep(60)"
    hanging = launch(write("hangs", body, options=spawn), alice)
    working = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "begun").exists)
    stop_run(actor=alice, run=hanging)
    working.join(10)
    assert finished(failing).status_reason == "Step acts failed: ValueError: no data"
    assert "so far" in StepAttempt.objects.get(step__run=failing).log_tail
    assert "at import" in finished(broken).status_reason
    assert finished(hanging).status == ExecutionStatus.STOPPED


def test_a_silent_child_is_killed_and_its_step_spawned_without_counting_it_as_a_failure(
    write: Any, alice: User, worker: StepWorker, settings: Any
) -> None:
    settings.CHILD_SILENCE = timedelta(seconds=0.5)
    template = write("silent", at_import=HANGS_WHEN_FORKED)
    run = launch(template, alice)
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.COMPLETED, run.status_reason
    step = StepRun.objects.get(run=run)
    assert (step.attempt, step.failures, step.worker_deaths) == (1, 0, 0)
    assert "a forked one was silent for 0.5 s and was killed." in sentences(run)
    forked_ones = [parent for parent in worker.parents.all() if parent.key.process == "fork"]
    again = launch(template, alice)
    worker.run_ready_steps("default")
    assert finished(again).status == ExecutionStatus.COMPLETED
    assert not forked_ones


@pytest.mark.parametrize("how", ["slow", "hanging"])
def test_loading_inputs_may_take_its_time_but_not_hang(
    alice: User, stacks: dict[str, Stack], worker: StepWorker, settings: Any, tmp_path: Path, how: str
) -> None:
    settings.CHILD_SILENCE = timedelta(seconds=0.7)
    (tmp_path / f"loads_{how}.py").write_text(LOADS.format(how=how))
    deployment = freeze(f"loads_{how}.loads_pipeline", alice, stacks["celery"], tmp_path)
    run = launch(make_template(deployment, alice, how), alice)
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.COMPLETED, run.status_reason
    assert ("was silent" in sentences(run)) == (how == "hanging")


def test_parents_are_bounded_in_number_and_the_least_recently_used_goes_first(
    write: Any, result: Any, worker: StepWorker
) -> None:
    first, second, third = (write(name) for name in ("one", "two", "three"))
    let_warm_up(worker)  # no use of a parent that this test makes
    bound(worker, number=2)
    for template in (first, second):
        result(template)
    processes = {parent.key.module: parent.process for parent in worker.parents.all()}
    for template in (first, third):
        result(template)
    assert {parent.key.module for parent in worker.parents.all()} == {
        "one",
        "three",
    }
    wait_for(lambda: processes["two"].poll() is not None)


def test_parents_are_bounded_in_memory_and_the_least_recently_used_idle_one_goes_first(
    write: Any, result: Any, worker: StepWorker
) -> None:
    fill = "BALLAST = bytearray(b'x') * 40_000_000"
    for template in [write(name, at_import=fill) for name in ("big", "bigger")]:
        result(template)
    older, newer = worker.parents.all()
    assert min(older.memory, newer.memory) > 40_000_000
    bound(worker, memory=older.memory + newer.memory - 20_000_000)
    wait_for(lambda: older.process.poll() is not None)
    assert worker.parents.all() == [newer]
    assert newer.process.poll() is None


def test_unused_parents_end_and_used_ones_do_not(
    write: Any, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    body = (
        f"Path({str(tmp_path)!r}, 'begun').touch()\n"
        f"while not Path({str(tmp_path)!r}, 'go').exists(): time.sleep(0.02)"
    )
    run = launch(write("busy", f"{body}\nreturn [1]"), alice)
    working = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "begun").exists)
    parent = only_parent(worker)
    worker.warm_up(launch(write("unused"), alice).deployment_id)
    unused = wait_for(lambda: next((found for found in worker.parents.all() if found is not parent), None))
    bound(worker, idle=timedelta(seconds=0.3), memory=1)
    wait_for(lambda: unused.process.poll() is not None)
    assert worker.parents.all() == [parent]
    (tmp_path / "go").touch()
    working.join(10)
    assert finished(run).status == ExecutionStatus.COMPLETED
    wait_for(lambda: parent.process.poll() is not None)
    assert not psutil.pid_exists(parent.process.pid)


def bound(worker: StepWorker, **bounds: Any) -> None:
    upbringing = worker.parents.upbringing
    worker.parents.upbringing = replace(upbringing, bounds=replace(upbringing.bounds, **bounds))
