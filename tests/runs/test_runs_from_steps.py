"""Steps that start runs, really: in a forked process that asks a real server."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from runs_app.models import PipelineRun, StepAttempt
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.in_process import network
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key
from zenweb.client import Client
from zenweb.enums import ExecutionStatus
from zenweb.transport import Transport

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asking(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    make_template(freeze("nested.greeting_pipeline", alice, stacks["celery"]), alice, "greeting")
    return make_template(freeze("nested.asking_pipeline", alice, stacks["celery"]), alice, "asking")


@pytest.fixture
def address(live_server: LiveServer, settings: Any) -> str:
    settings.STEP_SERVER_URL = live_server.url
    return str(live_server.url)


def ask(template: RunTemplate, user: User, worker: StepWorker, **parameters: Any) -> PipelineRun:
    run = launch(template, user, {"steps": {"asks": {"parameters": parameters}}})
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert run.is_finished
    return run


def children(run: PipelineRun) -> list[PipelineRun]:
    return list(PipelineRun.objects.filter(parent_step__run=run).order_by("created"))


def test_a_step_starts_runs_that_run(
    asking: RunTemplate, bob: User, worker: StepWorker, address: str
) -> None:
    run = ask(asking, bob, worker, names=["Ada", "Alan"])
    assert run.status == ExecutionStatus.COMPLETED, run.status_reason
    started = children(run)
    assert [child.parameters["greet"]["name"] for child in started] == ["Ada", "Alan"]
    assert {(child.status, child.user) for child in started} == {(ExecutionStatus.COMPLETED, bob)}
    client = Client(Transport("http://testserver", create_api_key(user=bob, name="his")[1], network()))
    told = client.get_pipeline_run(run.id)
    assert [child.id for child in told.children] == [child.pk for child in started]
    assert (told.parent, told.children[0].parent, told.children[0].parent_step_name) == (None, told, "asks")


def test_another_attempt_gets_the_runs_that_the_first_has_started(
    asking: RunTemplate, bob: User, worker: StepWorker, address: str
) -> None:
    run = ask(asking, bob, worker, names=["Ada", "Ada", "Alan"], is_retried=True)
    assert run.status == ExecutionStatus.COMPLETED, run.status_reason
    assert run.steps.get().attempt == 2
    assert len(children(run)) == 3


def test_another_attempt_starts_anew_what_has_failed(
    asking: RunTemplate, bob: User, worker: StepWorker, address: str
) -> None:
    worker.slots = 1
    run = launch(
        asking, bob, {"steps": {"asks": {"parameters": {"greeted": {"fails": True}, "is_retried": True}}}}
    )
    worker.run_ready_steps("default")
    run.refresh_from_db()
    assert (run.status, len(children(run))) == (ExecutionStatus.COMPLETED, 2)


def test_without_an_address_a_step_is_told_what_is_missing(
    asking: RunTemplate, bob: User, worker: StepWorker, settings: Any, tmp_path: Path
) -> None:
    """Also where the worker's user has signed in: that is somebody else."""
    stored = tmp_path / ".config" / "zenweb" / "connection.json"
    stored.parent.mkdir(parents=True)
    stored.write_text('{"server_url": "http://127.0.0.1:9", "api_key": "mine"}')
    worker.parents.upbringing = replace(
        worker.parents.upbringing, environment={**settings.STEP_ENVIRONMENT, "HOME": str(tmp_path)}
    )
    settings.STEP_SERVER_URL = ""
    assert "ZENWEB_STEP_SERVER_URL" in ask(asking, bob, worker).status_reason


def test_a_token_is_told_nobody_and_dead_with_its_step(
    stacks: dict[str, Stack], alice: User, worker: StepWorker, address: str, tmp_path: Path
) -> None:
    showing = make_template(freeze("nested.showing_pipeline", alice, stacks["celery"]), alice, "showing")
    run = launch(showing, alice, {"steps": {"shows": {"parameters": {"folder": str(tmp_path)}}}})
    worker.run_ready_steps("default")
    token = (tmp_path / "token").read_text()
    attempt = StepAttempt.objects.get(step__run=run)
    assert "my token is •" in attempt.log_tail
    step = run.steps.get()
    assert token not in f"{attempt.log_tail} {attempt.reason} {step.status_reason} {step.exception}"
    assert token.startswith("ZENSTEP_")
