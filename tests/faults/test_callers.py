"""Runs of the local stack belong to the process that called them, and end with it."""

import signal
import sys
from pathlib import Path

from runs_app.models import PipelineRun, StepAttempt, StepRun
from tests.faults.machine import CALLER_LEASE, Machine, wait_for
from zenweb.enums import ExecutionStatus

CALLER = """
import sys, time
from zenweb import pipeline, step

@step(enable_cache=False)
def waits(seconds: float) -> float:
    time.sleep(seconds)
    return seconds

@step
def follows(before: float) -> None: ...

@pipeline
def called_pipeline(seconds: float):
    follows(waits(seconds))

if __name__ == "__main__":
    called_pipeline(float(sys.argv[1]))
"""


def test_a_run_whose_caller_is_killed_fails_with_that_reason_and_others_go_on(
    machine: Machine, key: str, tmp_path: Path
) -> None:
    machine.start_broker()
    url = machine.start_web()
    machine.start_worker()  # which does the housekeeping
    source = tmp_path / "source"
    source.mkdir()
    (source / "run.py").write_text(CALLER)
    machine.settings = {
        "ZENWEB_SERVER_URL": url,
        "ZENWEB_API_KEY": key,
        "ZENWEB_ACTIVE_STACK": "default",
        "ZENWEB_CONFIG_DIR": str(tmp_path / "config"),
    }
    healthy, killed = (
        machine.start(name, [sys.executable, "run.py", seconds], folder=source)
        for name, seconds in (("healthy", str(CALLER_LEASE + 4)), ("killed", "600"))
    )
    wait_for(lambda: StepAttempt.objects.count() == 2)
    killed.send_signal(signal.SIGKILL)
    wait_for(lambda: PipelineRun.objects.unfinished().count() < 2, 3 * CALLER_LEASE)
    abandoned = PipelineRun.objects.get(status=ExecutionStatus.FAILED)
    assert abandoned.status_reason == "The process that ran it stopped reporting."
    steps = {step.name: (step.status, step.status_reason) for step in abandoned.steps.all()}
    assert steps["waits"] == ("failed", "CallerLost: The process that ran it stopped reporting.")
    assert steps["follows"][0] == ExecutionStatus.STOPPED
    assert healthy.wait(30) == 0, machine.log("healthy").decode()
    assert PipelineRun.objects.get(status=ExecutionStatus.COMPLETED).start_time is not None
    assert not StepRun.objects.unfinished().exists()
    assert not StepAttempt.objects.filter(end_time=None).exists()
