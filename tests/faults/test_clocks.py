"""The clocks of all workers are set forward and back by an hour: nothing healthy ends, and nothing waits for them."""

from pathlib import Path

import pytest

from runs_app.models import PipelineRun, StepAttempt, StepRun, Worker
from tests.faults.conftest import Launch
from tests.faults.machine import LEASE, Machine, Witness, wait_for
from tests.faults.test_dying_workers import assert_that_each_end_is_recorded_once, wait_until_over
from zenweb.enums import ExecutionStatus

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class WallClock:
    """Read by processes that were started with `settings`; their monotonic clock is left alone."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.step(0)
        self.settings = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: int) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}")
        draft.replace(self.file)


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (Debian's package faketime)")
def test_clocks_that_are_stepped_by_an_hour_end_and_delay_nothing(
    machine: Machine, witness: Witness, start: Launch, tmp_path: Path
) -> None:
    clock = WallClock(tmp_path / "clock")
    machine.start_broker()
    # A longer lease than the other tests have: that a busy machine is slow is not what is tested.
    machine.settings = {**clock.settings, "ZENWEB_WORKER_LEASE": str(3 * LEASE)}
    machine.start_workers("w0", "w1")
    limit = {"timeout": 600}
    healthy = [
        start("single", {**witness.parameters(["only"], seconds=4 * LEASE), **limit}) for _ in range(2)
    ]
    wait_for(lambda: witness.count("start") == 2)
    for hour in (3600, -3600, 0):
        clock.step(hour)
        beats = dict(Worker.objects.values_list("name", "beat"))
        wait_until_over([start("single", {**witness.parameters(["only"]), **limit})], 10)
        wait_for(
            lambda beats=beats: all(
                beat > beats[name] + 4 for name, beat in Worker.objects.values_list("name", "beat")
            )
        )  # each has judged the others by now
    wait_until_over(healthy, 30)
    assert {run.status for run in PipelineRun.objects.all()} == {ExecutionStatus.COMPLETED}
    assert set(StepAttempt.objects.values_list("number", flat=True)) == {1}
    assert set(StepRun.objects.values_list("worker_deaths", flat=True)) == {0}
    assert Worker.objects.alive().count() == 2
    assert_that_each_end_is_recorded_once(witness)
    assert_that_the_clock_was_stepped()


def assert_that_the_clock_was_stepped() -> None:
    """Else all of this would say nothing."""
    ended = sorted(StepRun.objects.values_list("end_time", flat=True))
    assert (ended[-1] - ended[0]).total_seconds() > 7000
