"""The web server is killed at the worst moment: the run that was accepted starts all the same, and only once."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from runs_app.models import PipelineRun
from templates_app.models import Pipeline, RunTemplate
from tests.faults.machine import Machine, Witness, client_of, trigger, wait_for
from tests.faults.test_dying_workers import assert_that_each_end_is_recorded_once, wait_until_over
from zenweb.accounts.models import AuditEvent
from zenweb.client import Client
from zenweb.enums import ExecutionStatus
from zenweb.transport import Transport


@contextmanager
def hesitating_broker(machine: Machine) -> Iterator[bytearray]:
    """It takes in what it is told and never gets to the end of its first answer. What it was told."""
    heard, over = bytearray(), threading.Event()

    def hesitate(caller: socket.socket) -> None:
        with caller, suppress(OSError):
            caller.settimeout(0.1)  # shorter than the time-out of whoever publishes
            caller.sendall(b"+")
            while not over.is_set():
                with suppress(TimeoutError):
                    heard.extend(caller.recv(65_536))
                caller.sendall(b".")

    machine.folder.make_socket_folder()
    with socket.socket(socket.AF_UNIX) as listening, ThreadPoolExecutor(8) as callers:
        listening.bind(str(machine.folder.socket))
        listening.listen()
        listening.settimeout(0.1)

        def listen() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    callers.submit(hesitate, listening.accept()[0])

        callers.submit(listen)
        try:
            yield heard
        finally:
            over.set()


def test_a_run_whose_web_server_was_killed_before_it_could_ring_starts_all_the_same(
    machine: Machine, witness: Witness, key: str
) -> None:
    template = RunTemplate.objects.get(name="single").id
    body, headers = witness.parameters(["only"]), {"Idempotency-Key": "once"}
    with (
        hesitating_broker(machine) as heard,
        ThreadPoolExecutor(1) as visitor,
        client_of(machine.start_web(), key) as site,
    ):
        asked = visitor.submit(trigger, site, template, body, **headers)
        run = wait_for(PipelineRun.objects.first)
        wait_for(lambda: heard)
        machine.kill(machine.web)
        with pytest.raises(httpx.TransportError):
            asked.result()
    assert b"run_ready_steps" not in heard
    machine.start_broker()
    machine.start_worker()
    wait_until_over([run], 20)
    with client_of(machine.start_web(), key) as site:
        again = trigger(site, template, body, **headers)
    assert again.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == str(run.pk)
    assert PipelineRun.objects.get().status == ExecutionStatus.COMPLETED
    assert witness.count("start") == 1
    assert_that_each_end_is_recorded_once(witness)


def test_what_a_killed_web_server_had_done_but_not_answered_is_done_once(machine: Machine, key: str) -> None:
    """Between its commit and its answer it waits, so that it is killed there."""
    body, headers = {"name": "new"}, {"Idempotency-Key": "once"}
    machine.settings |= {
        "DJANGO_SETTINGS_MODULE": "tests.faults.late_answers",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    url = machine.start_web()
    with client_of(url, key) as site, ThreadPoolExecutor(1) as visitor:
        asked = visitor.submit(site.post, "/api/v1/pipelines", json=body, headers=headers)
        made = wait_for(Pipeline.objects.filter(name="new").first)
        machine.kill(machine.web)
        with pytest.raises(httpx.TransportError):
            asked.result()
    machine.settings.clear()
    told = AuditEvent.objects.count()
    with client_of(machine.start_web(), key) as site:
        again = site.post("/api/v1/pipelines", json=body, headers=headers)
    assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (200, "true"), again.text
    assert again.json()["id"] == str(made.pk)
    assert Pipeline.objects.filter(name="new").count() == 1
    assert AuditEvent.objects.count() == told


def test_the_client_asks_until_the_killed_web_server_is_back_and_has_started_one_run(
    machine: Machine, witness: Witness, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenweb.transport.PAUSES", (0.2,) * 200)
    url = machine.start_web()
    with (
        hesitating_broker(machine) as heard,
        ThreadPoolExecutor(1) as caller,
        Client(Transport(url, key)) as client,
    ):
        body = witness.parameters(["only"])
        asked = caller.submit(client.trigger_pipeline, template_id="single", run_configuration=body)
        run = wait_for(PipelineRun.objects.first)
        wait_for(lambda: heard)
        machine.kill(machine.web)
        machine.start_web(url)
        answered = asked.result(60)
    assert PipelineRun.objects.get().pk == run.pk == answered.id
