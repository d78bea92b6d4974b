"""Memory, disk and the artifact store give out: a step fails with that reason, its neighbours go on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runs_app.models import ArtifactVersion, PipelineRun, StepOutput, StepRun
from templates_app.models import Stack
from tests.faults.conftest import Launch
from tests.faults.machine import Machine, Witness
from tests.faults.test_dying_workers import WORKING, wait_until_over
from zenweb.enums import ExecutionStatus

CGROUPS = Path("/sys/fs/cgroup/memory")
MEMORY = 1024 * 1024 * 512
IS_ROOT = os.geteuid() == 0


@contextmanager
def memory_limit() -> Iterator[Path | None]:
    """The group whose members may use that much memory together; None where the kernel lets nobody make one."""
    group = CGROUPS / f"zenweb-tests-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        (group / "memory.limit_in_bytes").write_text(str(MEMORY))
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (CGROUPS / "cgroup.procs").write_text(pid)
        group.rmdir()


def test_a_step_that_runs_out_of_memory_at_every_attempt_fails_and_its_neighbours_do_not(
    machine: Machine, witness: Witness, start: Launch
) -> None:
    machine.start_broker()
    worker = machine.start_worker(slots=3)
    with memory_limit() as group:
        if group:
            (group / "cgroup.procs").write_text(str(worker.pid))
        appetite = {"megabytes": 2 * MEMORY // 1024**2 if group else 0}
        hungry = start("hungry", {"steps": {"eats": {"parameters": appetite}}})
        neighbours = [start("witnessed", witness.parameters(WORKING, seconds=0.3)) for _ in range(2)]
        wait_until_over([hungry, *neighbours], 60)
    hungry.refresh_from_db()
    assert hungry.status == ExecutionStatus.FAILED
    assert "died with signal 9 (SIGKILL)" in hungry.status_reason
    step = hungry.steps.get()
    assert [attempt.status for attempt in step.attempts.all()] == ["failed"] * 3
    assert step.worker_deaths == 0
    completed = PipelineRun.objects.filter(status=ExecutionStatus.COMPLETED)
    assert {run.pk for run in completed} == {run.pk for run in neighbours}
    assert {attempt for _, attempt, _ in witness.lines()} == {1}
    assert worker.poll() is None


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "zenweb-tests", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def start_filling(start: Launch, megabytes: int) -> PipelineRun:
    return start("filling", {"steps": {"fills": {"parameters": {"megabytes": megabytes}}}})


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount a small disk")
def test_a_step_that_fills_the_disk_fails_with_that_reason_and_leaves_nothing_half_visible(
    machine: Machine, start: Launch, tmp_path: Path
) -> None:
    machine.start_broker()
    with small_disk(tmp_path / "disk") as disk:
        Stack.objects.filter(name="celery").update(artifact_store_uri=str(disk))
        full = start_filling(start, 8)
        machine.start_worker()
        wait_until_over([full], 20)
        full.refresh_from_db()
        assert full.status == ExecutionStatus.FAILED
        assert "the disk is full" in full.status_reason
        assert {step.name: step.status for step in full.steps.all()} == {
            "fills": "failed",
            "tells": "completed",
        }
        # Not even what had been saved before the disk was full.
        assert not ArtifactVersion.objects.exists()
        assert not StepOutput.objects.exists()
        assert not list(disk.rglob("*.part"))
        assert not list(disk.glob("**/large/*"))
        fits = start_filling(start, 1)
        wait_until_over([fits], 20)
    fits.refresh_from_db()
    assert fits.status == ExecutionStatus.COMPLETED


def test_an_artifact_store_that_is_gone_fails_only_the_steps_that_need_it(
    machine: Machine, start: Launch
) -> None:
    machine.start_broker()
    (machine.folder.path / "artifacts").write_text("a file where the store should be")
    run = start_filling(start, 1)
    machine.start_worker()
    wait_until_over([run], 20)
    run.refresh_from_db()
    assert run.status == ExecutionStatus.FAILED
    assert "The artifact store cannot be written" in run.status_reason
    assert not ArtifactVersion.objects.exists()
    tells = StepRun.objects.get(name="tells")
    assert tells.status == ExecutionStatus.COMPLETED
    assert "a step that makes nothing" in tells.latest_attempt.log_tail
