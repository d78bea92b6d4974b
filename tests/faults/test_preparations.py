"""Workers die and the broker is away while it is asked what may be chosen: runs end, and no late answer counts."""

import json
import signal
import time
from pathlib import Path

from runs_app.models import PipelineRun, Preparation
from tests.faults.conftest import Launch
from tests.faults.machine import RECOVERY, Machine, figures, wait_for


class Warehouse:
    """What the provider is told, and how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tables").write_text(json.dumps({"tables": ["orders"], "hangs": True}))

    @property
    def configuration(self) -> dict[str, object]:
        values = {"region": f"{self.folder}:eu", "table": "orders"}
        return {"steps": {"load": {"parameters": values}}}

    def is_asked(self, times: int = 1) -> bool:
        asked = self.folder / "asked"
        return asked.exists() and len(asked.read_text().splitlines()) >= times

    def go(self) -> None:
        (self.folder / "go").touch()


def is_completed(run: PipelineRun) -> bool:
    run.refresh_from_db()
    assert run.status != "failed", run.status_reason
    return run.status == "completed"


def test_a_worker_killed_while_it_asks_is_made_up_for(
    machine: Machine, start: Launch, tmp_path: Path
) -> None:
    warehouse = Warehouse(tmp_path)
    machine.start_broker()
    first = machine.start_worker("w0")
    run = start("table", warehouse.configuration)
    wait_for(warehouse.is_asked)
    machine.start_worker("w1")
    machine.kill(first)
    killed = time.monotonic()
    wait_for(lambda: warehouse.is_asked(2))
    recovery = time.monotonic() - killed
    figures.append(f"worker killed while it asked: asked again after {recovery:.1f} s")
    assert recovery < RECOVERY
    warehouse.go()
    wait_for(lambda: is_completed(run))
    assert Preparation.objects.get().worker_deaths == 1


def test_a_worker_that_goes_on_after_its_lease_answers_nothing(
    machine: Machine, start: Launch, tmp_path: Path
) -> None:
    warehouse = Warehouse(tmp_path)
    machine.start_broker()
    frozen = machine.start_worker("w0")
    run = start("table", warehouse.configuration)
    wait_for(warehouse.is_asked)
    frozen.send_signal(signal.SIGSTOP)
    machine.start_worker("w1")
    wait_for(lambda: warehouse.is_asked(2))
    warehouse.go()
    wait_for(lambda: is_completed(run))
    answered = Preparation.objects.get()
    frozen.send_signal(signal.SIGCONT)
    wait_for(lambda: b"declared dead by others" in machine.log("w0"))
    again = Preparation.objects.get()
    assert (again.attempt, again.ended_at) == (answered.attempt, answered.ended_at)


def test_without_a_broker_it_is_asked_all_the_same(machine: Machine, start: Launch, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    broker = machine.start_broker()
    machine.start_worker("w0")
    broker.kill()
    broker.wait()
    run = start("table", warehouse.configuration)
    started = time.monotonic()
    wait_for(warehouse.is_asked)
    figures.append(f"no broker: asked {time.monotonic() - started:.1f} s after the trigger")
    warehouse.go()
    wait_for(lambda: is_completed(run))
