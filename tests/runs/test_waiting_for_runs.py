"""A step that waits for a run never keeps that from running: its slot and its place are there for others meanwhile."""

import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from selectors import DefaultSelector
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from runs_app import recording
from runs_app.models import PipelineRun, StepRun, Worker
from runs_app.services import stop_run
from runs_app.slots import Slots, Waits
from runs_app.waiting_programs import WaitingPrograms
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import in_background, wait_for
from zenweb.accounts.models import User
from zenweb.enums import ConcurrencyPolicy, ExecutionStatus
from zenweb.execution.protocol import GoesOn, Waiting, WaitsForRun
from zenweb.execution.told_waits import address_of

pytestmark = pytest.mark.django_db(transaction=True)
Descend = Callable[..., PipelineRun]
PROGRAM = """
import sys
from zenweb.client import Client
body = {"steps": {"descends": {"parameters": {"folder": sys.argv[1]}}}}
run = Client().trigger_pipeline(template_id="descending", run_configuration=body)
run.wait(timeout=60)
"""


@pytest.fixture
def descending(stacks: dict[str, Stack], alice: User, live_server: LiveServer, settings: Any) -> RunTemplate:
    settings.STEP_SERVER_URL = live_server.url
    return make_template(freeze("nested.descending_pipeline", alice, stacks["celery"]), alice, "descending")


@pytest.fixture
def descend(descending: RunTemplate, alice: User) -> Descend:
    def descend(**parameters: Any) -> PipelineRun:
        descending.refresh_from_db()
        return launch(descending, alice, {"steps": {"descends": {"parameters": parameters}}})

    return descend


def statuses() -> list[str]:
    return list(PipelineRun.objects.order_by("created").values_list("status", flat=True))


def test_three_levels_of_runs_wait_for_each_other_on_one_slot(descend: Descend, worker: StepWorker) -> None:
    descend(levels=3)
    worker.run_ready_steps("default")
    assert statuses() == ["completed"] * 4
    assert (worker._places.free, worker._places.lent) == (1, 0)


def test_so_they_do_where_the_queue_runs_one_step_at_once(
    descend: Descend, worker: StepWorker, settings: Any
) -> None:
    settings.QUEUE_LIMITS = {"default": 1}
    descend(levels=2)
    worker.run_ready_steps("default")
    assert statuses() == ["completed"] * 3


def test_so_they_do_where_the_template_runs_once_at_a_time(
    descend: Descend, descending: RunTemplate, worker: StepWorker
) -> None:
    RunTemplate.objects.update(max_concurrent_runs=1)
    descend(levels=2)
    worker.run_ready_steps("default")
    assert statuses() == ["completed"] * 3


def test_others_of_the_template_have_to_wait_for_those_that_wait(
    descend: Descend, worker: StepWorker, tmp_path: Path
) -> None:
    RunTemplate.objects.update(max_concurrent_runs=1)
    descend(levels=1, folder=str(tmp_path))
    thread = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "begun-0-1").exists)
    other = descend()
    assert other.queued_at is not None
    recording.admit_waiting(other.template_id)
    other.refresh_from_db()
    assert other.queued_at is not None
    (tmp_path / "go").touch()
    thread.join(20)
    other.refresh_from_db()
    assert other.queued_at is None


def test_a_run_that_would_take_the_place_of_what_it_comes_from_is_refused(
    descend: Descend, worker: StepWorker
) -> None:
    RunTemplate.objects.update(max_concurrent_runs=1, concurrency_policy=ConcurrencyPolicy.CANCEL)
    run = descend(levels=1)
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert (run.status, PipelineRun.objects.count()) == (ExecutionStatus.FAILED, 1)
    assert "it would end what it comes from" in run.status_reason


def test_what_is_waited_for_goes_before_what_was_asked_for_earlier(
    descend: Descend, worker: StepWorker
) -> None:
    """Else each of many runs would begin and wait, before the first of those that they wait for."""
    for _ in range(4):
        descend(levels=1)
    worker.run_ready_steps("default")
    wait_for(lambda: statuses() == ["completed"] * 8, 30)
    begun = [step.run.depth for step in StepRun.objects.order_by("start_time").select_related("run")]
    assert begun.index(1) <= 2


def test_with_very_many_that_wait_nothing_is_begun_but_what_others_may_wait_for(
    descend: Descend, worker: StepWorker, settings: Any
) -> None:
    settings.MOST_WAITING_STEPS = 0
    descend(levels=0)
    assert worker.run_ready_steps("default") == 0
    PipelineRun.objects.update(parent_step=StepRun.objects.get())
    assert worker.run_ready_steps("default") == 1


def test_a_step_that_waits_says_so_and_takes_no_place(
    descend: Descend, worker: StepWorker, tmp_path: Path
) -> None:
    run = descend(levels=1, folder=str(tmp_path))
    thread = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "begun-0-1").exists)
    step = run.steps.get()
    assert step.status_reason == "It waits for a run that it has started, and takes no slot meanwhile."
    assert [taken.run.depth for taken in StepRun.objects.running()] == [1]
    (tmp_path / "go").touch()
    thread.join(20)
    step.refresh_from_db()
    assert (step.waiting_since, step.status_reason, step.status) == (None, "", "completed")
    assert PipelineRun.objects.get(depth=1).awaited_since is None


def test_with_a_run_stop_those_that_it_waits_for_and_no_others(
    stacks: dict[str, Stack], alice: User, descend: Descend, worker: StepWorker, tmp_path: Path
) -> None:
    leaving = make_template(freeze("nested.leaving_pipeline", alice, stacks["celery"]), alice, "leaving")
    run = launch(leaving, alice, {"steps": {"leaves": {"parameters": {"folder": str(tmp_path)}}}})
    thread = in_background(lambda: worker.run_ready_steps("default"))
    awaited = wait_for(lambda: PipelineRun.objects.filter(awaited_since__isnull=False).first())
    stop_run(actor=alice, run=run)
    thread.join(20)
    awaited.refresh_from_db()
    assert awaited.stop_requested_at is not None
    assert awaited.status_reason == "It was stopped together with the run that waited for it."
    [other] = PipelineRun.objects.filter(depth=1).exclude(pk=awaited.pk)
    assert other.stop_requested_at is None
    (tmp_path / "go").touch()
    wait_for(lambda: not PipelineRun.objects.unfinished().exists())
    assert set(statuses()) == {"stopped", "completed"}


def test_a_lent_slot_is_taken_again_once_however_a_step_waits() -> None:
    slots, told = Slots(1), []

    def note(event: Waiting, *, is_over: bool) -> bool:
        told.append((event.event, is_over))
        return True

    waits = Waits(slots, note)
    one, other = (WaitsForRun(run_id=f"00000000-0000-0000-0000-00000000000{n}") for n in (1, 2))
    assert slots.take()
    for event in (one, one, other):  # in three threads
        waits.hear(event)
    assert (slots.take(), slots.take()) == (True, False)
    waits.hear(GoesOn(run_id=one.run_id))
    waits.hear(GoesOn(run_id=one.run_id))
    assert (slots.lent, slots.is_overdrawn) == (1, False)
    waits.hear(GoesOn(run_id=other.run_id))
    waits.end()
    assert (slots.lent, slots.is_overdrawn) == (0, True)
    assert told == [("waits_for_run", False)] * 2 + [("goes_on", False), ("goes_on", True)]


def test_what_could_not_be_noted_is_noted_until_it_is() -> None:
    """An answer that is lost says nothing of what it answered: an end is noted too, whether or not a wait was."""
    slots, told, now = Slots(1), list[tuple[str, bool]](), 0.0
    answers = iter([None, None, True, None, True])

    def note(event: Waiting, *, is_over: bool) -> bool | None:
        told.append((event.event, is_over))
        return next(answers)

    waits = Waits(slots, note, clock=lambda: now)
    run_id = "00000000-0000-0000-0000-000000000001"
    assert slots.take()
    waits.hear(WaitsForRun(run_id=run_id))
    for now in (0.5, 1.0, 1.5, 2.0, 3.0):
        assert slots.lent == (now > 2)
        waits.tell_again()
    waits.hear(GoesOn(run_id=run_id))
    assert slots.lent == 0
    for now in (4.0, 5.0):  # noqa: B007  its clock reads it
        waits.tell_again()
    assert told == [("waits_for_run", False)] * 3 + [("goes_on", True)] * 2


def test_no_slot_is_lent_for_what_is_no_wait() -> None:
    slots, told = Slots(1), []

    def note(event: Waiting, *, is_over: bool) -> bool:
        told.append(event.event)
        return False

    waits = Waits(slots, note)
    assert slots.take()
    run_id = "00000000-0000-0000-0000-000000000001"
    waits.hear(WaitsForRun(run_id=run_id))
    waits.hear(WaitsForRun(run_id=run_id))
    assert (slots.lent, slots.free) == (0, 0)
    waits.hear(GoesOn(run_id=run_id))
    waits.end()
    assert (slots.lent, told) == (0, ["waits_for_run"])


def test_a_step_that_dies_while_it_waits_keeps_no_slot(
    descend: Descend, worker: StepWorker, tmp_path: Path
) -> None:
    descend(levels=1, folder=str(tmp_path))
    thread = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "begun-0-1").exists)
    for process in list(worker.running.values()):
        process.parent.kill()
    (tmp_path / "go").touch()
    thread.join(30)
    wait_for(lambda: statuses() == ["completed"] * 2, 30)
    assert (worker._places.lent, PipelineRun.objects.count()) == (0, 2)
    assert Worker.objects.get().is_alive


@pytest.fixture
def start_programs(descending: RunTemplate, stacks: dict[str, Stack], alice: User) -> Descend:
    template = make_template(freeze("nested.programs_pipeline", alice, stacks["celery"]), alice, "programs")

    def start(*programs: list[str], folder: str = "") -> PipelineRun:
        started = [[sys.executable, *program] for program in programs]
        return launch(
            template,
            alice,
            {"steps": {"starts_programs": {"parameters": {"programs": started, "folder": folder}}}},
        )

    return start


def test_programs_that_a_step_starts_wait_without_its_slot(
    start_programs: Descend, worker: StepWorker
) -> None:
    command = ["-m", "zenweb.cli", "run-template", "run", "descending", "--wait", "--timeout", "60"]
    start_programs(command, ["-c", PROGRAM, ""])
    worker.run_ready_steps("default")
    wait_for(lambda: not PipelineRun.objects.unfinished().exists(), 60)
    assert statuses() == ["completed"] * 3
    assert (worker._places.free, worker._places.lent) == (1, 0)


def test_so_does_what_a_step_has_forked(
    descending: RunTemplate, stacks: dict[str, Stack], alice: User, worker: StepWorker
) -> None:
    launch(make_template(freeze("nested.forking_pipeline", alice, stacks["celery"]), alice, "forking"), alice)
    worker.run_ready_steps("default")
    wait_for(lambda: not PipelineRun.objects.unfinished().exists(), 60)
    assert statuses() == ["completed"] * 2
    assert worker._places.lent == 0


def test_a_program_that_is_killed_while_it_waits_gives_the_slot_back(
    start_programs: Descend, worker: StepWorker, tmp_path: Path
) -> None:
    run = start_programs(["-c", PROGRAM, str(tmp_path)], folder=str(tmp_path))
    thread = in_background(lambda: worker.run_ready_steps("default"))
    wait_for((tmp_path / "begun-0-1").exists, 30)
    assert worker._places.lent == 1
    (tmp_path / "kill").touch()
    wait_for(lambda: worker._places.lent == 0)
    wait_for(lambda: run.steps.get().waiting_since is None)
    assert worker._places.is_overdrawn  # until the run has ended that took the slot meanwhile
    (tmp_path / "go").touch()
    thread.join(20)
    wait_for(lambda: statuses() == ["completed"] * 2)


class Ear:
    """Programs that wait, and what is heard of them."""

    def __init__(self, user: int) -> None:
        self.told: list[str] = []
        self.programs, self.selector = WaitingPrograms(user), DefaultSelector()
        self.programs.register(self.selector, lambda event: self.told.append(event.event))

    def call(self, said: bytes) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.connect(address_of(self.programs.name))
        line.send(said)
        self.listen()
        return line

    def listen(self) -> None:
        while ready := self.selector.select(0):
            for key, _ in ready:
                key.data()

    def close(self) -> None:
        self.programs.close()
        self.selector.close()


def is_refused(line: socket.socket) -> bool:
    with line, pytest.raises(ConnectionError):
        line.send(b"heard?")
    return True


def test_a_program_is_heard_until_it_goes_on_or_is_gone() -> None:
    with closing(Ear(os.geteuid())) as ear:
        one, other = ear.call(bytes(16)), ear.call(bytes(16))
        assert is_refused(ear.call(b"nonsense"))
        one.shutdown(socket.SHUT_RDWR)  # though something else has it, too
        other.close()
        ear.listen()
        one.close()
    assert ear.told == ["waits_for_run"] * 2 + ["goes_on"] * 2


def test_no_more_programs_are_heard_than_are_allowed_and_no_other_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runs_app.waiting_programs.MOST_PROGRAMS", 1)
    with closing(Ear(os.geteuid())) as ear, ear.call(bytes(16)):
        assert is_refused(ear.call(bytes(16)))
    with closing(Ear(os.geteuid() + 1)) as deaf:
        assert is_refused(deaf.call(bytes(16)))
    assert (ear.told, deaf.told) == (["waits_for_run"], [])
