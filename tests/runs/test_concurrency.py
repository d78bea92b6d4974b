"""Workers, stops and burials at once, on a database that lets them: nothing is lost, doubled or deadlocked."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Max

from runs_app import recording
from runs_app.models import (
    Artifact,
    ArtifactVersion,
    LogChunk,
    PipelineRun,
    StepAttempt,
    StepOutput,
    StepRun,
    Worker,
)
from runs_app.recording import LogPiece, StepOutcome
from runs_app.services import Trigger, launch_run, report_local_progress, start_local_step
from runs_app.statements import lock_run
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, TriggerChannel
from zenweb.execution.protocol import StepException, StoredArtifact

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="SQLite has one writer at a time"),
]
RUNS, WORKERS, LIMIT = 40, 4, 30  # of them; seconds
CONFIGURATION = {"enable_cache": False, "steps": {"trainer": {"retry": {"max_retries": 1, "delay": 0}}}}


class Crowd:
    """Threads that do what the processes of a busy site do, until every run has ended."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.over = threading.Event()
        self.errors: list[Exception] = []
        self.completed = Counter[Any]()

    def run(self) -> None:
        roles = [self._work] * WORKERS + [self._stop, self._bury, self._bury, self._beat]
        threads = [
            threading.Thread(target=self._play, args=(role, random.Random(self.seed + place)))
            for place, role in enumerate(roles)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + LIMIT
        while PipelineRun.objects.unfinished().exists() and not self.errors and time.monotonic() < deadline:
            time.sleep(0.05)
        self.over.set()
        for thread in threads:
            thread.join(LIMIT)

    def _play(self, role: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            role(chance)
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            self.errors.append(error)
        finally:
            connections.close_all()

    def _work(self, chance: random.Random) -> None:
        worker = hire()
        while not self.over.is_set():
            attempt = recording.claim_ready_step(worker, "default")
            if attempt is None:
                if not Worker.objects.filter(pk=worker.pk, is_alive=True).exists():
                    worker = hire()
                continue
            recording.note_that_it_runs(attempt.step)
            time.sleep(chance.uniform(0, 0.01))
            outcome = outcome_of(attempt, chance)
            if recording.record_end(attempt, outcome) and outcome.outputs:
                self.completed[attempt.step_id] += 1

    def _stop(self, chance: random.Random) -> None:
        while not self.over.wait(0.05):
            if run := chance.choice([None, *PipelineRun.objects.unfinished()]):
                recording.request_stop(run, by="somebody")

    def _bury(self, chance: random.Random) -> None:
        while not self.over.wait(chance.uniform(0, 0.05)):
            if worker := chance.choice([None, *Worker.objects.alive()]):
                recording.bury_worker(worker, "died", most_deaths=3)

    def _beat(self, chance: random.Random) -> None:
        while not self.over.wait(0.005):
            Worker.objects.alive().update(ended_reason="")


def outcome_of(attempt: StepAttempt, chance: random.Random) -> StepOutcome:
    if chance.random() < 0.2:
        return StepOutcome(exception=StepException(type="ValueError", message="no luck", traceback=""))
    name = {"trainer": "score", "evaluator": "metrics"}[attempt.step.name]
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.float", type="DataArtifact")
    return StepOutcome(outputs={name: stored})


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_doubled_or_deadlocked(template: RunTemplate, alice: User, seed: int) -> None:
    for _ in range(RUNS):
        launch(template, alice, CONFIGURATION)
    crowd = Crowd(seed)
    crowd.run()
    assert crowd.errors == []
    assert not PipelineRun.objects.unfinished().exists()
    assert not StepRun.objects.unfinished().exists()
    assert not StepRun.objects.filter(worker__isnull=False).exists()
    assert not StepAttempt.objects.filter(status=ExecutionStatus.RUNNING).exists()
    completed = StepRun.objects.filter(status=ExecutionStatus.COMPLETED).values_list("pk", flat=True)
    assert crowd.completed == Counter(list(completed))
    assert Counter(StepOutput.objects.values_list("step_id", flat=True)) == crowd.completed
    check_numbers()
    assert set(PipelineRun.objects.values_list("status", flat=True)) > {"completed", "stopped"}


def check_numbers() -> None:
    """Attempts and versions are numbered without a gap, and what counts them agrees."""
    for artifact in Artifact.objects.all():
        versions = ArtifactVersion.objects.filter(artifact=artifact).values_list("version", flat=True)
        assert sorted(versions) == list(range(1, artifact.version_count + 1))
    for step in StepRun.objects.annotate(last=Max("attempts__number")):
        assert step.attempts.count() == (step.last or 0) == step.attempt


def test_a_claim_that_is_not_committed_yet_is_found_by_whoever_buries_its_worker(
    template: RunTemplate, alice: User
) -> None:
    launch(template, alice)
    worker = hire()
    overlap(lambda: claim(worker), lambda: recording.bury_worker(worker, "died", most_deaths=3))
    assert StepRun.objects.get(name="trainer").status == ExecutionStatus.RETRYING


def test_of_the_last_two_steps_one_ends_the_run(stacks: dict[str, Stack], alice: User) -> None:
    deployment = freeze("failures.fragile_pipeline", alice, stacks["celery"])
    run = launch(
        make_template(deployment, alice, "fragile"), alice, {"execution_mode": "continue_on_failure"}
    )
    worker = hire()
    first, second = claim(worker), claim(worker)
    failure = StepOutcome(exception=StepException(type="E", message="no luck", traceback=""))
    overlap(lambda: recording.record_end(first, failure), lambda: recording.record_end(second, failure))
    assert PipelineRun.objects.get(pk=run.pk).status == ExecutionStatus.FAILED


def test_a_report_of_a_local_step_holds_nothing_that_whoever_ends_it_needs(
    stacks: dict[str, Stack], alice: User
) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = launch_run(deployment=local, configuration=None, trigger=Trigger(alice, TriggerChannel.SDK)).run
    attempt = start_local_step(actor=alice, run=run, step_name="trainer")
    assert attempt is not None
    printed = LogPiece(0, "epoch 1\n")
    report = partial(report_local_progress, step_name="trainer", number=1, printed=printed, noted=None)
    overlap(
        lambda: lock_run(run.pk),
        lambda: report(actor=alice, run=run),
        lambda: recording.record_end(attempt, StepOutcome(was_stopped=True)),
    )
    assert StepRun.objects.get(name="trainer").status == ExecutionStatus.STOPPED
    assert not LogChunk.objects.exists()


def overlap(
    first: Callable[[], Any], second: Callable[[], Any], then: Callable[[], Any] = lambda: None
) -> None:
    """Go on after the first, and commit it, only when the second, begun meanwhile, has ended or waits for it."""

    def run() -> None:
        try:
            second()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        first()
        thread.start()
        deadline = time.monotonic() + LIMIT
        while thread.is_alive() and not is_anybody_waiting():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        then()
    thread.join(LIMIT)


def is_anybody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1")
        return cursor.fetchone() is not None


def claim(worker: Worker) -> StepAttempt:
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    return attempt


def hire() -> Worker:
    return Worker.objects.create(name="w", hostname="h", pid=1, queues=["default"])
