"""Workers are killed, frozen and shut down under running steps: every run ends, and no step runs twice at once."""

import random
import signal
import time
from collections import Counter

import pytest

from runs_app.models import PipelineRun, StepAttempt, StepOutput, StepRun, Worker
from tests.faults.conftest import Launch
from tests.faults.machine import (
    DEFAULT_LEASE,
    IS_LONG,
    LEASE,
    MOST_RECOVERY,
    RECOVERY,
    SEED,
    Machine,
    Witness,
    figures,
    wait_for,
)
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus

WORKING = ["first", "left", "right", "last"]


def wait_until_over(runs: list[PipelineRun], seconds: float) -> None:
    ids = [run.pk for run in runs]
    wait_for(lambda: not PipelineRun.objects.filter(pk__in=ids).unfinished().exists(), seconds)


def assert_that_each_end_is_recorded_once(witness: Witness) -> None:
    """And that no two attempts of a step ever ran at the same time."""
    assert witness.count("overlap") == 0
    assert not StepRun.objects.unfinished().exists()
    assert not StepAttempt.objects.filter(end_time=None).exists()
    completed = Counter(StepAttempt.objects.filter(status="completed").values_list("step", flat=True))
    assert set(completed.values()) == {1}
    outputs = Counter(StepOutput.objects.values_list("step", flat=True))
    assert outputs == completed


def test_every_run_ends_however_often_workers_are_killed(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    chance = random.Random(SEED)
    machine.settings["ZENWEB_MAX_WORKER_DEATHS"] = "1000"  # chance may hit one step three times
    machine.start_broker()
    workers = dict(zip(("w0", "w1"), machine.start_workers("w0", "w1"), strict=True))
    lengths = [round(chance.uniform(0, 0.4), 2) for _ in range(200 if IS_LONG else 8)]
    runs = [
        start("witnessed", witness.parameters(WORKING, seconds=length, again=length)) for length in lengths
    ]
    for number in range(100 if IS_LONG else 4):
        time.sleep(chance.uniform(0, 0.7))  # at any moment: what is under test is that none matters
        name = f"w{number % 2}"
        workers[name].kill()
        workers[name].wait()
        workers[name] = machine.start_worker(name)
    wait_until_over(runs, 600 if IS_LONG else 60)
    lost = StepAttempt.objects.filter(status="retried").count()
    figures.append(f"{len(runs)} runs, {100 if IS_LONG else 4} kills: {lost} attempts lost and made up for")
    assert {run.status for run in PipelineRun.objects.all()} == {ExecutionStatus.COMPLETED}
    assert_that_each_end_is_recorded_once(witness)


def test_a_worker_that_is_killed_between_elements_loses_none_and_repeats_none_that_ended(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    worker = machine.start_worker("w0", slots=2)
    run = start("spread", witness.parameters(["works"], seconds=0.3, again=0.1))
    wait_for(lambda: witness.count("end") >= 2)
    worker.kill()
    machine.start_worker("w1", slots=2)
    wait_until_over([run], 30)
    assert PipelineRun.objects.get(pk=run.pk).status == ExecutionStatus.COMPLETED
    assert_that_each_end_is_recorded_once(witness)
    total = StepRun.objects.get(run=run, name="sums").outputs.get().artifact_version
    assert materializers.load(total.uri, total.materializer) == sum(range(1, 9))


@pytest.mark.parametrize("lease", [LEASE, DEFAULT_LEASE] if IS_LONG else [LEASE])
def test_what_a_step_left_running_is_gone_before_it_starts_again(
    machine: Machine, witness: Witness, start: Launch, lease: int
) -> None:
    machine.settings["ZENWEB_WORKER_LEASE"] = str(lease)
    machine.start_broker()
    worker = machine.start_worker("w0", slots=1)
    run = start("single", witness.parameters(["only"], seconds=60, daemon=True))
    machine.start_worker("w1", slots=1)
    assert witness.count("start") == 1
    worker.kill()
    killed = time.monotonic()
    wait_for(lambda: witness.count("start") == 2)
    recovery = time.monotonic() - killed
    figures.append(f"worker killed, lease {lease} s: the next attempt began after {recovery:.1f} s")
    assert recovery < min(lease + 5, MOST_RECOVERY)
    wait_until_over([run], 20)
    assert_that_each_end_is_recorded_once(witness)
    assert [attempt.status for attempt in StepAttempt.objects.order_by("number")] == ["retried", "completed"]


def test_a_worker_that_goes_on_after_its_lease_records_nothing(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    frozen = machine.start_worker("w0", slots=1)
    run = start("single", witness.parameters(["only"], seconds=60, again=1, daemon=True))
    machine.start_worker("w1", slots=1)
    assert witness.count("start") == 1
    children = machine.below(frozen)
    frozen.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    wait_for(lambda: witness.count("start") == 2, RECOVERY)
    took = time.monotonic() - stopped
    figures.append(f"worker frozen, lease {LEASE} s: the next attempt began after {took:.1f} s")
    assert not any(child.is_running() and child.status() != "zombie" for child in children)
    frozen.send_signal(signal.SIGCONT)
    wait_until_over([run], 20)
    wait_for(lambda: b"is not recorded" in machine.log("w0"))
    assert_that_each_end_is_recorded_once(witness)
    assert StepRun.objects.get().attempt == 2
    again = start("witnessed", witness.parameters(WORKING))
    wait_until_over([again], 10)  # with both workers, the one that was frozen included


def test_a_pause_that_nobody_noticed_fails_no_step(machine: Machine, witness: Witness, start: Launch) -> None:
    machine.start_broker()
    worker = machine.start_worker(slots=1)
    run = start("single", witness.parameters(["only"], seconds=60))
    wait_for(lambda: witness.count("start") == 1)
    worker.send_signal(signal.SIGSTOP)
    time.sleep(LEASE * 0.8)  # its warm parents have ended what ran below them
    worker.send_signal(signal.SIGCONT)
    wait_until_over([run], 20)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.COMPLETED
    assert_that_each_end_is_recorded_once(witness)


def test_a_step_that_kills_its_worker_every_time_fails_and_its_neighbours_do_not(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    workers = machine.start_workers("w0", "w1", "w2", "w3")
    neighbours = [start("witnessed", witness.parameters(WORKING, seconds=0.2)) for _ in range(3)]
    deadly = start("deadly")
    wait_until_over([deadly, *neighbours], 40)
    deadly.refresh_from_db()
    assert deadly.status == ExecutionStatus.FAILED
    assert "It was lost 3 times" in deadly.status_reason
    assert sum(worker.poll() is None for worker in workers) == 1
    completed = PipelineRun.objects.exclude(pk=deadly.pk).filter(status=ExecutionStatus.COMPLETED)
    assert completed.count() == 3
    assert witness.count("overlap") == 0


def test_a_dead_worker_is_buried_once_however_many_see_it(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    dying = machine.start_worker("w0")
    runs = [start("single", witness.parameters(["only"], seconds=60)) for _ in range(2)]
    wait_for(lambda: witness.count("start") == 2)
    machine.start_workers("w1", "w2", "w3")
    dying.kill()
    dying.wait()
    wait_until_over(runs, 30)
    assert_that_each_end_is_recorded_once(witness)
    assert set(StepRun.objects.values_list("attempt", "worker_deaths")) == {(2, 1)}
    assert sorted(Worker.objects.alive().values_list("name", flat=True)) == ["w1", "w2", "w3"]


def test_a_step_whose_process_crashes_at_every_attempt_fails_and_its_neighbours_do_not(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    crashing = start("crashing")
    neighbour = start("witnessed", witness.parameters(WORKING))
    machine.start_worker()
    wait_until_over([crashing, neighbour], 20)
    crashing.refresh_from_db()
    neighbour.refresh_from_db()
    assert crashing.status == ExecutionStatus.FAILED
    assert [attempt.number for attempt in crashing.steps.get().attempts.all()] == [1, 2, 3]
    assert neighbour.status == ExecutionStatus.COMPLETED


def test_everything_that_is_shut_down_and_started_again_ends_its_runs(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    machine.start_workers("w0", "w1")
    runs = [start("witnessed", witness.parameters(WORKING, seconds=1.5, again=0.1)) for _ in range(2)]
    wait_for(lambda: witness.count("start") >= 2)
    machine.end(signal.SIGTERM)
    machine.start_broker()
    machine.start_worker("w2", slots=4)
    wait_until_over(runs, 30)
    assert {run.status for run in PipelineRun.objects.all()} == {ExecutionStatus.COMPLETED}
    assert_that_each_end_is_recorded_once(witness)


def test_steps_given_back_at_a_shutdown_have_ended_before_others_start_them(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    leaving = machine.start_worker("w0")
    runs = [start("single", witness.parameters(["only"], seconds=60, daemon=True)) for _ in range(2)]
    wait_for(lambda: witness.count("start") == 2)
    machine.start_worker("w1", slots=4)
    leaving.send_signal(signal.SIGTERM)
    wait_until_over(runs, 20)
    assert {run.status for run in PipelineRun.objects.all()} == {ExecutionStatus.COMPLETED}
    assert {attempt.number for attempt in StepAttempt.objects.filter(status="completed")} == {2}
    assert_that_each_end_is_recorded_once(witness)


def test_a_step_whose_artifact_cannot_be_stored_fails_with_that_reason(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    (machine.folder.path / "artifacts").write_text("a file where the store should be")
    run = start("witnessed", witness.parameters(WORKING))
    machine.start_worker()
    wait_until_over([run], 20)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED
    assert "The artifact store cannot be written" in run.status_reason
    assert not StepOutput.objects.exists()
