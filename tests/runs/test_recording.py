"""Who holds a step, how its end is recorded once, and how the graph goes on."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from runs_app import recording
from runs_app.models import Artifact, ArtifactVersion, PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import StepException, StoredArtifact

FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    return launch(template, alice)


def completed(name: str) -> StepOutcome:
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.float", type="DataArtifact")
    return StepOutcome(outputs={name: stored})


def claim(worker: Worker) -> StepAttempt:
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    recording.note_that_it_runs(attempt.step)
    return attempt


def status(run: PipelineRun) -> str:
    return PipelineRun.objects.get(pk=run.pk).status


def test_only_a_ready_step_is_claimed_and_only_once(run: PipelineRun, worker: Worker) -> None:
    assert claim(worker).step.name == "trainer"
    assert recording.claim_ready_step(worker, "default") is None
    assert status(run) == ExecutionStatus.RUNNING


def test_a_step_of_another_queue_is_left_alone(run: PipelineRun, worker: Worker) -> None:
    assert recording.claim_ready_step(worker, "gpu") is None


def test_a_worker_that_was_declared_dead_claims_nothing(run: PipelineRun, worker: Worker) -> None:
    recording.bury_worker(worker, "died", most_deaths=3)
    assert recording.claim_ready_step(worker, "default") is None


def test_the_more_urgent_step_is_taken_first(template: RunTemplate, alice: User, worker: Worker) -> None:
    launch(template, alice)
    urgent = launch(template, alice)
    StepRun.objects.filter(run=urgent).update(priority=5)
    assert claim(worker).step.run_id == urgent.pk


def test_an_end_lets_the_next_step_go_and_the_last_end_ends_the_run(run: PipelineRun, worker: Worker) -> None:
    recording.record_end(claim(worker), completed("score"))
    assert status(run) == ExecutionStatus.RUNNING
    recording.record_end(claim(worker), completed("metrics"))
    assert status(run) == ExecutionStatus.COMPLETED
    made = ArtifactVersion.objects.order_by("created").values_list("artifact__name", flat=True)
    assert list(made) == ["score", "metrics"]


def test_artifact_versions_are_counted_per_name(template: RunTemplate, alice: User, worker: Worker) -> None:
    for _ in range(2):
        launch(template, alice, {"enable_cache": False})
        recording.record_end(claim(worker), completed("score"))
        recording.record_end(claim(worker), completed("metrics"))
    assert Artifact.objects.get(name="score").version_count == 2


def test_the_time_until_an_end_could_be_recorded_is_none_of_the_steps(
    run: PipelineRun, worker: Worker
) -> None:
    attempt = claim(worker)
    started = timezone.now() - timedelta(seconds=90)
    ended = time.monotonic() - 86
    recording.record_end(attempt, replace(completed("score"), started_at=started, ended=ended))
    for recorded in (StepRun.objects.get(pk=attempt.step_id), StepAttempt.objects.get(pk=attempt.pk)):
        assert recorded.duration is not None
        assert 3 < recorded.duration.total_seconds() < 60  # and not 90


def test_an_end_is_recorded_once(run: PipelineRun, worker: Worker) -> None:
    attempt = claim(worker)
    assert recording.record_end(attempt, completed("score"))
    assert not recording.record_end(attempt, FAILURE)
    assert StepRun.objects.get(pk=attempt.step_id).status == ExecutionStatus.COMPLETED


def test_a_lost_attempt_cannot_write_any_more(run: PipelineRun, worker: Worker) -> None:
    lost = claim(worker)
    recording.bury_worker(worker, "died", most_deaths=3)
    other = Worker.objects.create(name="w2", hostname="h", pid=2, queues=["default"])
    taken_over = claim(other)
    assert taken_over.number == 2
    assert not recording.record_end(lost, completed("score"))
    assert not ArtifactVersion.objects.exists()
    assert recording.record_end(taken_over, completed("score"))


def test_a_worker_whose_counter_moved_is_not_buried(run: PipelineRun, worker: Worker) -> None:
    claim(worker)
    Worker.objects.filter(pk=worker.pk).update(beat=8)
    assert not recording.bury_worker(worker, "died", most_deaths=3, beat=7)
    assert Worker.objects.get(pk=worker.pk).is_alive


def test_a_step_whose_workers_die_again_and_again_fails(run: PipelineRun, worker: Worker) -> None:
    for number in range(3):
        mortal = Worker.objects.create(name=f"m{number}", hostname="h", pid=3, queues=["default"])
        claim(mortal)
        recording.bury_worker(mortal, "died", most_deaths=3)
    assert status(run) == ExecutionStatus.FAILED
    assert (
        "lost 3 times while it ran, the last time because worker m2 died"
        in PipelineRun.objects.get(pk=run.pk).status_reason
    )


def test_a_planned_shutdown_is_no_death(run: PipelineRun, worker: Worker) -> None:
    for number in range(4):
        planned = Worker.objects.create(name=f"p{number}", hostname="h", pid=3, queues=["default"])
        claim(planned)
        recording.bury_worker(planned, "was shut down", most_deaths=None)
    step = StepRun.objects.get(run=run, name="trainer")
    assert (step.status, step.attempt, step.worker_deaths) == (ExecutionStatus.RETRYING, 4, 0)


def test_a_failure_closes_what_follows_with_the_reason(run: PipelineRun, worker: Worker) -> None:
    recording.record_end(claim(worker), FAILURE)
    follower = StepRun.objects.get(run=run, name="evaluator")
    assert status(run) == ExecutionStatus.FAILED
    assert follower.status == ExecutionStatus.STOPPED
    assert "trainer did not complete" in follower.status_reason


def test_a_retry_waits_for_its_delay(run: PipelineRun, worker: Worker) -> None:
    StepRun.objects.filter(run=run).update(settings={"retry": {"max_retries": 1, "delay": 60, "backoff": 2}})
    recording.record_end(claim(worker), FAILURE)
    step = StepRun.objects.get(run=run, name="trainer")
    assert step.status == ExecutionStatus.RETRYING
    assert step.delayed_until is not None
    assert 50 < (step.delayed_until - timezone.now()).total_seconds() <= 60
    assert recording.claim_ready_step(worker, "default") is None


def test_stopping_before_the_start_stops_at_once(run: PipelineRun) -> None:
    recording.request_stop(run, by="alice")
    assert status(run) == ExecutionStatus.STOPPED
    assert not StepRun.objects.filter(run=run).unfinished().exists()


def test_a_running_step_keeps_a_stopping_run_open(run: PipelineRun, worker: Worker) -> None:
    attempt = claim(worker)
    recording.request_stop(run, by="alice")
    assert status(run) == ExecutionStatus.STOPPING
    assert recording.attempts_to_stop(worker) == [attempt.id]
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert status(run) == ExecutionStatus.STOPPED


def test_a_step_costs_two_transactions_and_few_statements(
    template: RunTemplate, alice: User, worker: Worker, django_assert_num_queries: Any
) -> None:
    """The numbers include one savepoint and its release each, which stand for the transactions."""
    launch(template, alice)
    for output in ("score", "metrics"):  # from the second run on these names exist
        recording.record_end(claim(worker), completed(output))
    launch(template, alice, {"steps": {"trainer": {"enable_cache": False}}})
    with django_assert_num_queries(
        2 + 3
    ):  # the step's claim, its attempt; the run, read once for all its steps
        attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    # the run, step, artifact name, version, output, what waits for it, its look into the cache, attempt
    with django_assert_num_queries(2 + 8):
        recording.record_end(attempt, completed("score"))


def test_an_end_that_waited_for_its_turn_is_not_dated_back() -> None:
    before = timezone.now() - timedelta(seconds=10)  # when its transaction began, and stood still
    ended = StepOutcome(ended=time.monotonic()).ended_at(before)
    assert timezone.now() - ended < timedelta(seconds=5)
    begun = timezone.now() + timedelta(seconds=1)  # a clock was set meanwhile
    assert StepOutcome(ended=time.monotonic(), started_at=begun).ended_at(before) == begun


def test_an_output_that_nobody_has_declared_is_left_out(run: PipelineRun, worker: Worker) -> None:
    ended = completed("score")
    forged = ended.outputs["score"].model_copy(update={"artifact_name": "another"})
    outputs = {"score": forged, "never declared": forged, "+0001": ended.outputs["score"]}
    assert recording.record_end(claim(worker), replace(ended, outputs=outputs))
    assert [str(artifact) for artifact in Artifact.objects.all()] == ["score"]
