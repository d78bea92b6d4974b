"""How a step is run, and who has the last word about it: the step of the run, the run, the step, the pipeline."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app import recording
from runs_app.housekeeping import Stopwatch
from runs_app.models import PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.services import stop_run
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import StepException, StoredArtifact

FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))
SAVED = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.int", type="DataArtifact")
COMPLETED = StepOutcome(outputs={"output": SAVED})
ONE_QUEUE = {"queue": "default", "retry": {"max_retries": 0}, "enable_cache": False}


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=3)


@pytest.fixture
def settled(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    """plain -> after_plain, and settled beside them; the pipeline fails fast and may take a minute."""
    return make_template(freeze("settled.settled_pipeline", alice, stacks["celery"]), alice, "settled")


def claim(worker: Worker, queue: str = "default") -> StepAttempt:
    attempt = recording.claim_ready_step(worker, queue)
    assert attempt is not None
    recording.note_that_it_runs(attempt.step)
    return attempt


def statuses(run: PipelineRun) -> dict[str, str]:
    return dict(run.steps.values_list("name", "status"))


@pytest.mark.parametrize(
    ("configuration", "plain", "settled_step"),
    [
        ({}, ("cpu", 1, 7, True), ("gpu", 6, 1, False)),
        (
            {"queue": "run", "priority": 2, "retry": {"max_retries": 3}, "enable_cache": True},
            ("run", 2, 3, True),
            ("run", 2, 3, True),
        ),
        (
            {
                "queue": "run",
                "priority": 2,
                "retry": {"max_retries": 3},
                "enable_cache": False,
                "steps": {
                    "settled": {
                        "queue": "own",
                        "priority": -1,
                        "retry": {"max_retries": 0},
                        "enable_cache": True,
                    }
                },
            },
            ("run", 2, 3, False),
            ("own", -1, 0, True),
        ),
    ],
)
def test_the_nearest_word_counts(
    settled: RunTemplate, alice: User, configuration: Any, plain: Any, settled_step: Any
) -> None:
    steps = {step.name: step for step in launch(settled, alice, configuration).steps.all()}
    for name, expected in (("plain", plain), ("settled", settled_step)):
        step = steps[name]
        said = step.settings
        found = (step.queue, step.priority, said["retry"]["max_retries"], said["enable_cache"])
        assert found == expected


def test_a_time_out_of_the_run_is_not_one_of_its_steps(settled: RunTemplate, alice: User) -> None:
    run = launch(settled, alice, {"timeout": 30, "steps": {"plain": {"timeout": 1.5}}})
    limits = {step.name: step.settings.get("timeout") for step in run.steps.all()}
    assert (run.timeout, limits) == (30, {"plain": 1.5, "after_plain": None, "settled": 60})
    assert run.resolved_configuration["timeout"] == 30


@pytest.mark.parametrize(
    ("configuration", "pointer"),
    [
        ({"timeout": 0}, "/timeout"),
        ({"timeout": "soon"}, "/timeout"),
        ({"execution_mode": "sometimes"}, "/execution_mode"),
        ({"priority": 1.5}, "/priority"),
        ({"queue": ""}, "/queue"),
        ({"retry": {"max_retries": -1}}, "/retry/max_retries"),
        ({"retry": {"max_retires": 1}}, "/retry/max_retires"),
        ({"steps": {"plain": {"timeout": -1}}}, "/steps/plain/timeout"),
        ({"steps": {"plain": {"enable_cache": "yes"}}}, "/steps/plain/enable_cache"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    rest: Client, settled: RunTemplate, configuration: Any, pointer: str
) -> None:
    address = f"/api/v1/run_templates/{settled.id}/runs"
    answer = rest.post(address, configuration, content_type="application/json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_what_has_an_effect_is_not_warned_of(settled: RunTemplate, alice: User) -> None:
    step = {"queue": "a", "priority": 1, "timeout": 1, "enable_cache": True, "retry": {"max_retries": 1}}
    configuration = {**step, "execution_mode": "fail_fast", "steps": {"plain": step}}
    assert launch(settled, alice, configuration).warnings == []


# -- what a step needs -------------------------------------------------------------------------------------------------


@pytest.fixture
def needy(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    """needs_a_gpu names its queue among its resources, asks_for_a_gpu names none."""
    return make_template(freeze("settled.resources_pipeline", alice, stacks["celery"]), alice, "needy")


def resources(run: PipelineRun) -> dict[str, tuple[str, Any]]:
    return {step.name: (step.queue, step.settings.get("resources")) for step in run.steps.all()}


def test_resources_name_the_queue_and_are_kept_with_the_run(needy: RunTemplate, alice: User) -> None:
    run = launch(needy, alice)
    assert resources(run) == {
        "needs_a_gpu": ("gpu", {"cpu_count": 2, "gpu_count": 1, "memory": "16GB"}),
        "asks_for_a_gpu": ("default", {"cpu_count": 2, "gpu_count": 1, "memory": "1GB"}),
    }
    assert run.resolved_configuration["steps"]["needs_a_gpu"]["resources"]["memory"] == "16GB"


def test_a_gpu_without_a_queue_is_warned_of(rest: Client, needy: RunTemplate, alice: User) -> None:
    [warning] = launch(needy, alice).warnings
    assert warning.startswith("/steps/asks_for_a_gpu/settings/resources/gpu_count: no queue is named")
    assert launch(needy, alice, {"settings": {"resources": {"queue": "gpu"}}}).warnings == []


@pytest.mark.parametrize(
    ("configuration", "queue"),
    [
        ({"settings": {"resources": {"queue": "run"}}}, "run"),
        ({"queue": "plain", "settings": {"resources": {"queue": "run"}}}, "plain"),
        ({"queue": "run", "steps": {"needs_a_gpu": {"settings": {"resources": {"queue": "own"}}}}}, "own"),
        ({"steps": {"needs_a_gpu": {"settings": {"resources": {"queue": None, "memory": "2GiB"}}}}}, "gpu"),
    ],
)
def test_the_nearest_word_about_resources_counts(
    needy: RunTemplate, alice: User, configuration: Any, queue: str
) -> None:
    assert resources(launch(needy, alice, configuration))["needs_a_gpu"][0] == queue


@pytest.mark.parametrize(
    ("resources", "pointer"),
    [
        ({"gpu_count": -1}, "/gpu_count"),
        ({"gpu_count": "one"}, "/gpu_count"),
        ({"cpu_count": 0}, "/cpu_count"),
        ({"memory": "a lot"}, "/memory"),
        ({"gpus": 1}, "/gpus"),
        ("gpu", ""),
    ],
)
def test_resources_that_make_no_sense_are_refused(
    rest: Client, needy: RunTemplate, resources: Any, pointer: str
) -> None:
    configuration = {"steps": {"needs_a_gpu": {"settings": {"resources": resources}}}}
    address = f"/api/v1/run_templates/{needy.id}/runs"
    answer = rest.post(address, configuration, content_type="application/json")
    assert answer.status_code == 422
    expected = f"/steps/needs_a_gpu/settings/resources{pointer}"
    assert [error["pointer"] for error in answer.json()["errors"]] == [expected]


def test_other_settings_are_named_as_having_no_effect(needy: RunTemplate, alice: User) -> None:
    configuration = {"settings": {"docker": {}, "resources": {"queue": "gpu"}}}
    assert launch(needy, alice, configuration).warnings == ["/settings/docker: accepted, no effect"]


def test_a_backoff_grows_no_further_than_a_day(settled: RunTemplate, alice: User, worker: Worker) -> None:
    retry = {"max_retries": 1000, "delay": 86_400, "backoff": 100}
    launch(settled, alice, {**ONE_QUEUE, "retry": retry})
    StepRun.objects.update(failures=900)
    step = claim(worker).step
    recording.record_end(StepAttempt.objects.get(step=step), FAILURE)
    delayed_until = StepRun.objects.get(pk=step.pk).delayed_until
    assert delayed_until is not None
    assert delayed_until - timezone.now() <= timedelta(days=1)


# -- what a failure means for the other steps --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "running", "beside"),
    [
        ("continue_on_failure", "running", "completed"),
        ("stop_on_failure", "running", "completed"),
        ("fail_fast", "stopping", "stopped"),
    ],
)
def test_what_runs_beside_a_failure(
    settled: RunTemplate, alice: User, worker: Worker, mode: str, running: str, beside: str
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "execution_mode": mode})
    first, other = claim(worker), claim(worker)
    recording.record_end(first, FAILURE)
    assert statuses(run)[other.step.name] == running
    to_stop = recording.attempts_to_stop(worker)
    assert to_stop == ([other.id] if mode == "fail_fast" else [])
    recording.record_end(other, StepOutcome(was_stopped=True) if to_stop else COMPLETED)
    assert statuses(run)[other.step.name] == beside
    while attempt := recording.claim_ready_step(worker, "default"):
        recording.record_end(attempt, COMPLETED)
    assert statuses(run)["after_plain"] == ("completed" if mode == "continue_on_failure" else "stopped")
    run.refresh_from_db()
    assert run.status_reason.startswith(f"Step {first.step.name} failed")


def test_a_run_that_stops_at_the_first_failure_starts_nothing_more(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "execution_mode": "stop_on_failure"})
    recording.record_end(claim(worker), FAILURE)
    assert recording.claim_ready_step(worker, "default") is None
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED
    assert sorted(statuses(run).values()) == ["failed", "stopped", "stopped"]


def test_a_run_that_goes_on_finishes_what_does_not_depend_on_the_failure(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "execution_mode": "continue_on_failure"})
    recording.record_end(claim(worker), FAILURE)
    for _ in range(2):
        recording.record_end(claim(worker), COMPLETED)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED
    assert statuses(run) == {"settled": "failed", "plain": "completed", "after_plain": "completed"}


def test_a_run_ends_with_a_step_whose_follower_was_closed_before(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    joined = make_template(freeze("settled.joined_pipeline", alice, stacks["celery"]), alice, "joined")
    run = launch(joined, alice)
    first, other = claim(worker), claim(worker)
    recording.record_end(first, FAILURE)
    recording.record_end(other, COMPLETED)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED


def test_a_run_says_how_many_of_its_steps_failed(settled: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "execution_mode": "continue_on_failure"})
    first, other = claim(worker), claim(worker)
    recording.record_end(first, FAILURE)
    recording.record_end(other, FAILURE)
    run.refresh_from_db()
    assert run.status_reason.startswith(f"Step {first.step.name} failed, and 1 other: ")


def test_nothing_is_tried_again_in_a_run_that_has_given_up(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    steps = {"plain": {"retry": {"max_retries": 0}}, "settled": {"retry": {"max_retries": 3}}}
    run = launch(settled, alice, {**ONE_QUEUE, "execution_mode": "stop_on_failure", "steps": steps})
    attempts = {attempt.step.name: attempt for attempt in (claim(worker), claim(worker))}
    recording.record_end(attempts["plain"], FAILURE)
    recording.record_end(attempts["settled"], FAILURE)
    assert statuses(run)["settled"] == ExecutionStatus.FAILED
    run.refresh_from_db()
    assert run.is_finished


def test_a_lost_step_is_not_started_again_in_a_run_that_has_given_up(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "execution_mode": "stop_on_failure"})
    other = Worker.objects.create(name="w2", hostname="h", pid=2, queues=["default"])
    claim(other)
    recording.record_end(claim(worker), FAILURE)
    recording.bury_worker(other, "died", most_deaths=3)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED


# -- the time a run may take -------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """The monotonic clock of the housekeeper, set by hand."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("runs_app.housekeeping.time", clock)
    return clock


def overdue(stopwatch: Stopwatch) -> list[PipelineRun]:
    return list(stopwatch.overdue())


def test_a_run_that_takes_too_long_fails_and_is_stopped(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "timeout": 60})
    attempt = claim(worker)
    recording.time_out(run)
    assert recording.attempts_to_stop(worker) == [attempt.id]
    recording.record_end(attempt, StepOutcome(was_stopped=True))
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED
    assert run.status_reason == "The run took longer than its limit of 60 s."
    assert set(statuses(run).values()) == {ExecutionStatus.STOPPED}


def test_waiting_for_a_worker_is_not_counted(settled: RunTemplate, alice: User, clock: Clock) -> None:
    launch(settled, alice, {**ONE_QUEUE, "timeout": 60})
    stopwatch = Stopwatch()
    assert overdue(stopwatch) == []
    clock.now += 61
    assert overdue(stopwatch) == []


def test_what_comes_from_the_cache_does_not_start_the_clock(
    settled: RunTemplate, alice: User, clock: Clock
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "timeout": 60})
    PipelineRun.objects.filter(pk=run.pk).update(status="running", start_time=timezone.now())
    stopwatch = Stopwatch()
    assert overdue(stopwatch) == []
    clock.now += 61
    assert overdue(stopwatch) == []


def test_a_stop_between_two_attempts_leaves_the_failure_told(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    retry = {"retry": {"max_retries": 1, "delay": 60}}
    run = launch(settled, alice, {**ONE_QUEUE, **retry})
    attempt = claim(worker)
    lost = StepException(type="ValueError", message="no luck", traceback="")
    recording.record_end(attempt, StepOutcome(exception=lost))
    stop_run(actor=alice, run=run)
    told = StepRun.objects.get(pk=attempt.step_id).status_reason
    assert told == "Attempt 1 failed (ValueError: no luck); no further attempt follows"


def test_a_stop_after_a_lost_attempt_leaves_the_loss_told(
    settled: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(settled, alice, ONE_QUEUE)
    attempt = claim(worker)
    recording.bury_worker(worker, "died; attempt this", most_deaths=3)
    stop_run(actor=alice, run=run)
    told = StepRun.objects.get(pk=attempt.step_id).status_reason
    assert told == "worker w1 died; attempt this; no further attempt follows"


def test_the_time_that_a_run_takes_is_counted_from_its_first_step(
    settled: RunTemplate, alice: User, worker: Worker, clock: Clock
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "timeout": 60})
    claim(worker)
    stopwatch = Stopwatch()
    assert overdue(stopwatch) == []
    clock.now += 59
    assert overdue(stopwatch) == []
    clock.now += 2
    assert overdue(stopwatch) == [run]


def test_who_counts_next_goes_on_from_what_was_counted(
    settled: RunTemplate, alice: User, worker: Worker, clock: Clock
) -> None:
    run = launch(settled, alice, {**ONE_QUEUE, "timeout": 60})
    claim(worker)
    first = Stopwatch()
    assert overdue(first) == []
    clock.now += 40
    assert overdue(first) == []
    second = Stopwatch()
    assert overdue(second) == []
    clock.now += 21
    assert overdue(second) == overdue(first) == [run]


def test_a_clock_that_is_an_hour_off_times_nothing_out(
    settled: RunTemplate, alice: User, worker: Worker, clock: Clock
) -> None:
    launch(settled, alice, {**ONE_QUEUE, "timeout": 60})
    claim(worker)
    PipelineRun.objects.update(start_time=timezone.now() - timedelta(hours=1))
    stopwatch = Stopwatch()
    assert overdue(stopwatch) == []
    clock.now += 1
    assert overdue(stopwatch) == []
