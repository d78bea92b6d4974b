"""Steps really run: in children forked from a warm parent, with a real database."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from runs_app import recording
from runs_app.assignments import assignment_for
from runs_app.logs import read_log
from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt, StepRun, Worker
from runs_app.plans import run_of
from runs_app.recording import StepOutcome, ending, outcomes
from runs_app.services import stop_run
from runs_app.starting import blamed_parameters
from runs_app.worker import StepWorker
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import Assignment, ServerAccess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fragile(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("failures.fragile_pipeline", alice, stacks["celery"]), alice, "fragile")


def finished(run: PipelineRun) -> PipelineRun:
    run.refresh_from_db()
    assert run.is_finished, run.status
    return run


def run_ending(template: RunTemplate, user: User, worker: StepWorker, **parameters: Any) -> PipelineRun:
    run = launch(template, user, {"steps": {"ends": {"parameters": parameters}}})
    worker.run_ready_steps("default")
    return finished(run)


def wait_for(condition: Callable[[], Any], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def let_warm_up(worker: StepWorker) -> None:
    """Wait until the worker has warmed up what was registered: it does so by itself at one of its next beats."""
    beat = Worker.objects.get(pk=worker.row.pk).beat
    wait_for(lambda: Worker.objects.get(pk=worker.row.pk).beat > beat + 1)
    worker._warming.submit(int).result()  # it warms one after the other


def in_background(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_run_completes_and_passes_values_on(template: RunTemplate, alice: User, worker: StepWorker) -> None:
    run = launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.4}}}})
    assert worker.run_ready_steps("default") == 2
    assert finished(run).status == ExecutionStatus.COMPLETED
    metrics = ArtifactVersion.objects.get(artifact__name="metrics")
    assert materializers.load(metrics.uri, metrics.materializer) == {"accuracy": 0.8, "over": 1.0}


def test_code_is_imported_ahead_of_the_first_run(deployment: PipelineDeployment, worker: StepWorker) -> None:
    worker.warm_up(deployment.id)
    parent = wait_for(lambda: next(iter(worker.parents.all()), None))
    assert parent.key.module == "training"


def test_pipelines_of_one_file_share_their_warm_parent(
    stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    for name in ("noting_pipeline", "waiting_pipeline"):
        worker.warm_up(freeze(f"noting.{name}", alice, stacks["celery"]).id)
    wait_for(worker.parents.all)
    wait_for(lambda: worker._warming.submit(lambda: True).result())  # it warms one after the other
    assert [parent.key.module for parent in worker.parents.all()] == ["noting"]


def test_a_template_that_was_just_made_is_warmed_up(worker: StepWorker, template: RunTemplate) -> None:
    assert wait_for(worker.parents.all)


def test_what_a_step_prints_is_kept(template: RunTemplate, alice: User, worker: StepWorker) -> None:
    run = launch(template, alice, {"steps": {"trainer": {"parameters": {"model_type": "rf"}}}})
    worker.run_ready_steps("default")
    assert "training a rf" in StepAttempt.objects.get(step__run=run, step__name="trainer").log_tail


def test_an_exception_fails_its_step_and_what_follows_is_closed(
    fragile: RunTemplate, alice: User, worker: StepWorker
) -> None:
    run = run_ending(fragile, alice, worker, how="raise")
    steps = {step.name: step for step in run.steps.all()}
    assert run.status == ExecutionStatus.FAILED
    assert run.status_reason == "Step ends failed: ValueError: the data is empty"
    assert "failures.py" in steps["ends"].exception["traceback"]
    assert "zenweb/execution" not in steps["ends"].exception["traceback"]
    assert steps["follows"].status == ExecutionStatus.STOPPED
    assert steps["stands_alone"].status == ExecutionStatus.COMPLETED


def test_the_log_of_a_failed_step_ends_with_where_it_failed(
    fragile: RunTemplate, alice: User, worker: StepWorker
) -> None:
    step = run_ending(fragile, alice, worker, how="raise").steps.get(name="ends")
    assert read_log(step) == f"about to end: raise\n{step.exception['traceback']}"
    assert read_log(step).startswith("about to end: raise\nTraceback (most recent call last):\n")


def test_a_step_that_blames_a_value_names_the_parameter(
    fragile: RunTemplate, alice: User, worker: StepWorker
) -> None:
    run = run_ending(fragile, alice, worker, how="blame")
    exception = run.steps.get(name="ends").exception
    assert (exception["parameter"], exception["message"]) == ("how", "how: not this way")


def test_a_value_that_a_validator_of_the_code_refuses_is_blamed_at_its_place(
    stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    particular = make_template(
        freeze("failures.particular_pipeline", alice, stacks["celery"]), alice, "particular"
    )
    windows = [{"start": 1, "end": 2}, {"start": 2, "end": 1}]
    run = launch(particular, alice, {"steps": {"looks_through": {"parameters": {"windows": windows}}}})
    worker.run_ready_steps("default")
    assert finished(run).status_reason == (
        "Step looks_through failed: ParameterError: windows.1: it ends before it starts"
    )
    [blamed] = blamed_parameters(run, particular.version.config_schema)
    assert blamed.pointer == "/steps/looks_through/parameters/windows/1"
    assert blamed.message == f"Run {run.index} failed with this value: it ends before it starts."


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("segfault", "The step's process died with signal 11 (SIGSEGV)."),
        ("exit", "The step's process exited with code 3 before the step had ended."),
        ("sys.exit", "SystemExit: 4"),
    ],
)
def test_the_death_of_a_steps_process_is_its_failure(
    fragile: RunTemplate, alice: User, worker: StepWorker, how: str, reason: str
) -> None:
    run = run_ending(fragile, alice, worker, how=how)
    assert reason in run.status_reason
    assert f"about to end: {how}" in StepAttempt.objects.get(step__run=run, step__name="ends").log_tail
    assert run_ending(fragile, alice, worker, how="well").status == ExecutionStatus.COMPLETED


def test_the_death_of_a_process_counts_against_its_retries(
    stacks: dict[str, Stack], alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    template = make_template(freeze("failures.retried_pipeline", alice, stacks["celery"]), alice, "retried")
    run = launch(template, alice, {"steps": {"fails_twice": {"parameters": {"folder": str(tmp_path)}}}})
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.COMPLETED
    attempts = StepAttempt.objects.filter(step__run=run).values_list("number", "status")
    assert list(attempts) == [(1, "failed"), (2, "failed"), (3, "completed")]


@pytest.fixture
def at_its_end(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bool]], list[bool]]:
    """What is the case whenever the end of the step `ends` is recorded."""

    def look_for(fact: Callable[[], bool]) -> list[bool]:
        record_end, seen = recording.record_end, list[bool]()

        def look_and_record(attempt: StepAttempt, outcome: StepOutcome) -> bool:
            if attempt.step.name == "ends":
                seen.append(fact())
            return record_end(attempt, outcome)

        monkeypatch.setattr(recording, "record_end", look_and_record)
        return seen

    return look_for


def test_nothing_a_step_started_outlives_it(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, at_its_end: Any
) -> None:
    lived = at_its_end(lambda: psutil.pid_exists(int((tmp_path / "daemon").read_text())))
    run = run_ending(fragile, alice, worker, how="leave daemon", folder=str(tmp_path))
    assert (run.status, lived) == (ExecutionStatus.COMPLETED, [False])


def test_a_copy_that_a_step_made_of_itself_does_not_end_it(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, at_its_end: Any
) -> None:
    had_ended = at_its_end((tmp_path / "ended").exists)
    run = run_ending(fragile, alice, worker, how="fork and return", folder=str(tmp_path))
    assert (run.status, had_ended) == (ExecutionStatus.COMPLETED, [True])


def test_stop_ends_a_step_at_once(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run = launch(
        fragile, alice, {"steps": {"ends": {"parameters": {"how": "hang", "folder": str(tmp_path)}}}}
    )
    working = in_background(lambda: worker.run_ready_steps("default"))
    wait_for(lambda: list(tmp_path.glob("started-*")))
    asked = time.monotonic()
    stop_run(actor=alice, run=run)
    working.join(10)
    assert time.monotonic() - asked < 5
    assert finished(run).status == ExecutionStatus.STOPPED
    assert StepRun.objects.get(run=run, name="ends").exception is None
    assert not StepRun.objects.filter(run=run).unfinished().exists()


def test_a_stubborn_step_is_killed_after_the_grace_with_its_children(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, settings: Any
) -> None:
    settings.STOP_GRACE /= 20
    run = launch(
        fragile, alice, {"steps": {"ends": {"parameters": {"how": "stubborn", "folder": str(tmp_path)}}}}
    )
    working = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "daemon").exists)
    stop_run(actor=alice, run=run)
    working.join(10)
    assert finished(run).status == ExecutionStatus.STOPPED
    assert not psutil.pid_exists(int((tmp_path / "daemon").read_text()))


def read_pid(file: Path) -> int | None:
    return int(file.read_text() or 0) or None if file.exists() else None


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def at_giving_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[Any]]:
    """What is the case whenever a step is given back, which is before anybody can begin its next attempt."""

    def look_for(fact: Callable[[], Any]) -> list[Any]:
        give_back, seen = recording.give_back, list[Any]()

        def look_and_give_back(attempt: StepAttempt, reason: str, most_deaths: int | None) -> bool:
            seen.append(fact())
            return give_back(attempt, reason, most_deaths)

        monkeypatch.setattr(recording, "give_back", look_and_give_back)
        return seen

    return look_for


def test_a_step_whose_warm_parent_is_killed_gets_another_attempt_when_all_it_started_is_gone(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, at_giving_back: Any
) -> None:
    parameters = {"how": "hang with daemon", "folder": str(tmp_path)}
    run = launch(fragile, alice, {"steps": {"ends": {"parameters": parameters}}})
    working = in_background(lambda: worker.run_ready_steps("default"))
    daemon = psutil.Process(wait_for(lambda: read_pid(tmp_path / "daemon")))
    first = [daemon, *psutil.Process(worker.parents.all()[0].process.pid).children(recursive=True)]
    lived = at_giving_back(lambda: [process for process in first if lives(process)])
    worker.parents.all()[0].process.kill()
    lost = wait_for(lambda: StepAttempt.objects.filter(step__run=run, status=ExecutionStatus.RETRIED).first())
    assert lost.reason == f"the process of worker {worker.name} that it was forked from was killed"
    assert lived == [[]]
    wait_for(lambda: StepRun.objects.get(run=run, name="ends").attempt == 2)
    stop_run(actor=alice, run=run)
    working.join(15)
    assert finished(run).status == ExecutionStatus.STOPPED


def test_a_process_that_is_killed_while_its_worker_shuts_down_counts_against_no_step(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run = launch(
        fragile, alice, {"steps": {"ends": {"parameters": {"how": "hang", "folder": str(tmp_path)}}}}
    )
    working = in_background(lambda: worker.run_ready_steps("default"))
    wait_for(lambda: worker.running)
    worker.is_draining = True
    worker.parents.all()[0].process.kill()
    working.join(15)
    step = StepRun.objects.get(run=run, name="ends")
    assert step.worker_deaths == 0
    assert step.attempts.get().reason == f"worker {worker.name} was shut down"


def test_what_a_stopped_step_started_ends_with_it_though_its_warm_parent_is_killed(
    fragile: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    parameters = {"how": "stubborn", "folder": str(tmp_path)}
    run = launch(fragile, alice, {"steps": {"ends": {"parameters": parameters}}})
    working = in_background(lambda: worker.run_ready_steps("default"))
    daemon = psutil.Process(wait_for(lambda: read_pid(tmp_path / "daemon")))
    stop_run(actor=alice, run=run)
    wait_for(lambda: any(process.was_stopped for process in worker.running.values()))
    worker.parents.all()[0].process.kill()
    working.join(15)
    assert finished(run).status == ExecutionStatus.STOPPED
    assert not lives(daemon)


def test_a_shut_down_worker_gives_its_steps_back(
    fragile: RunTemplate, alice: User, tmp_path: Path, settings: Any
) -> None:
    settings.SHUTDOWN_LIMIT /= 100
    first = StepWorker(name="w1", queues=["default"], slots=1)
    run = launch(
        fragile, alice, {"steps": {"ends": {"parameters": {"how": "hang", "folder": str(tmp_path)}}}}
    )
    working = in_background(lambda: first.run_ready_steps("default"))
    wait_for(lambda: list(tmp_path.glob("started-*")))
    first.start()
    first.shut_down()
    working.join(10)
    step = StepRun.objects.get(run=run, name="ends")
    assert step.status == ExecutionStatus.RETRYING
    assert step.ready_at is not None
    assert "worker w1 was shut down" in step.status_reason
    assert "stood still" not in step.status_reason


def test_a_worker_paused_between_its_claim_and_its_order_starts_nothing(
    fragile: RunTemplate, alice: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not started: a heartbeat would renew its lease.
    worker = StepWorker(name="w1", queues=["default"], slots=1)

    def pause(attempt: StepAttempt, server: ServerAccess | None) -> Assignment:
        worker.lease.until = 0.0
        return assignment_for(attempt, server)

    monkeypatch.setattr("runs_app.worker.assignment_for", pause)
    launch(fragile, alice, {"steps": {"ends": {"parameters": {"folder": str(tmp_path)}}}})
    done = worker.run_ready_steps("default")
    worker.shut_down()
    assert done == 1
    assert not list(tmp_path.glob("started-*"))
    assert StepAttempt.objects.get(number=1).status == ExecutionStatus.RETRIED
    assert not StepRun.objects.filter(status=ExecutionStatus.FAILED).exists()


def test_a_step_ended_when_its_process_said_so(
    template: RunTemplate, alice: User, worker: StepWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_end, refused, outage = recording.record_end, list[StepOutcome](), 300

    def record_late(attempt: StepAttempt, outcome: StepOutcome) -> bool:
        if not refused:
            refused.append(outcome)
            raise OperationalError("away")
        with monkeypatch.context() as later:
            clock = SimpleNamespace(monotonic=lambda: time.monotonic() + outage)
            later.setattr(outcomes, "time", clock)
            wall = SimpleNamespace(now=lambda: timezone.now() + timedelta(seconds=outage))
            for module in (outcomes, ending):
                later.setattr(module, "timezone", wall)
            return record_end(attempt, outcome)

    monkeypatch.setattr(recording, "record_end", record_late)
    run = launch(template, alice)
    worker.run_ready_steps("default")
    trainer = run.steps.get(name="trainer")
    assert trainer.duration is not None
    assert 0 <= trainer.duration.total_seconds() < outage


def test_an_end_that_no_database_accepts_is_a_failure(
    template: RunTemplate, alice: User, worker: StepWorker
) -> None:
    """Its owner was deleted while it ran, so nobody can own what it made."""
    run = launch(template, alice)
    run_of(run.pk)  # as a worker that ran a step of it before remembers it
    PipelineRun.objects.update(user=None)
    RunTemplate.objects.update(user=None)
    User.objects.filter(pk=alice.pk).delete()
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.FAILED


def test_a_step_that_its_worker_never_heard_of_is_given_back(
    template: RunTemplate, alice: User, worker: StepWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database goes away between a claim and its answer."""
    monkeypatch.setattr("runs_app.worker.STRAYS_PAUSE", 0.1)
    run = launch(template, alice)
    claimed = recording.claim_ready_step(worker.row, "default")
    assert claimed is not None
    wait_for(lambda: StepAttempt.objects.get(pk=claimed.pk).status == ExecutionStatus.RETRIED)
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.COMPLETED


def test_a_database_that_is_away_before_a_step_begins_is_no_failure_of_the_step(
    template: RunTemplate, alice: User, worker: StepWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(attempt: StepAttempt, server: ServerAccess | None) -> Assignment:
        monkeypatch.setattr("runs_app.worker.assignment_for", assignment_for)
        raise OperationalError("the database is away")

    monkeypatch.setattr("runs_app.worker.assignment_for", away)
    run = launch(template, alice)
    worker.run_ready_steps("default")
    assert finished(run).status == ExecutionStatus.COMPLETED
    assert list(StepAttempt.objects.order_by("start_time").values_list("status", flat=True)) == [
        *("retried", "completed", "completed")
    ]
