"""Who is alive is judged by counters, and what is ready by its row: a clock that is wrong ends and delays nothing."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from runs_app import recording
from runs_app.models import PipelineRun, StepRun, Worker
from runs_app.observation import Observer
from runs_app.services import Trigger, launch_run
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, TriggerChannel
from zenweb.execution.protocol import StepException

LEASE = timedelta(seconds=10)
KEY = uuid.uuid4()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("runs_app.observation.time", clock)
    return clock


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"])


def seconds_until_silent(observer: Observer, clock: Clock, counter: int) -> int:
    for second in range(60):
        if observer.silent({KEY: counter}):
            return second
        clock.now += 1
    pytest.fail("it never counts as silent")


def test_a_counter_that_stands_still_for_a_lease_is_silent(clock: Clock) -> None:
    assert seconds_until_silent(Observer(LEASE), clock, 5) == LEASE.total_seconds() + 1


def test_a_counter_that_moves_is_not_silent(clock: Clock) -> None:
    observer = Observer(LEASE)
    for beat in range(60):
        assert not observer.silent({KEY: beat})
        clock.now += 3


def test_a_time_in_which_nobody_could_look_is_not_held_against_anybody(clock: Clock) -> None:
    """The database was away for a minute: others could not move their counters either."""
    observer = Observer(LEASE)
    observer.silent({KEY: 5})
    clock.now += 60
    assert not observer.silent({KEY: 5})
    clock.now += 1
    assert not observer.silent({KEY: 5})
    assert seconds_until_silent(observer, clock, 5) < LEASE.total_seconds()


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1), timedelta(milliseconds=200)])
def test_a_step_is_claimed_whatever_the_clock_of_whoever_made_it_ready(
    template: RunTemplate, alice: User, worker: Worker, off: timedelta
) -> None:
    launch(template, alice)
    StepRun.objects.filter(ready_at__isnull=False).update(ready_at=timezone.now() + off)
    assert StepRun.objects.ready(timezone.now()).count() == 1
    assert recording.claim_ready_step(worker, "default") is not None


def test_a_delay_counted_by_a_clock_that_was_set_back_is_over(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    retry = {"max_retries": 1, "delay": 600}
    launch(template, alice, {"steps": {"trainer": {"retry": retry}}, "enable_cache": False})
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    failure = StepException(type="E", message="m", traceback="")
    recording.record_end(attempt, recording.StepOutcome(exception=failure))
    assert recording.claim_ready_step(worker, "default") is None
    hour = timedelta(hours=1)
    StepRun.objects.filter(name="trainer").update(
        ready_at=timezone.now() + hour, delayed_until=timezone.now() + hour + timedelta(minutes=10)
    )
    assert StepRun.objects.ready(timezone.now()).count() == 1
    assert recording.claim_ready_step(worker, "default") is not None


@pytest.fixture
def local_run(alice: User, stacks: dict[str, Stack]) -> PipelineRun:
    deployment = freeze("training.training_pipeline", alice, stacks["default"])
    trigger = Trigger(actor=alice, channel=TriggerChannel.SDK)
    return launch_run(deployment=deployment, configuration=None, trigger=trigger).run


def test_a_run_whose_caller_is_silent_fails_with_that_reason(local_run: PipelineRun) -> None:
    assert local_run.caller_beat is not None
    recording.fail_abandoned_run(local_run.pk, local_run.caller_beat)
    local_run.refresh_from_db()
    assert local_run.status == ExecutionStatus.FAILED
    assert local_run.status_reason == "The process that ran it stopped reporting."
    assert not StepRun.objects.unfinished().exists()


def test_a_caller_that_reports_while_it_is_given_up_keeps_its_run(local_run: PipelineRun) -> None:
    PipelineRun.objects.update(caller_beat=7)
    recording.fail_abandoned_run(local_run.pk, 6)
    local_run.refresh_from_db()
    assert not local_run.is_finished
