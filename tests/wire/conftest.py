"""A run that has ended, and one call for everything that is asked."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from runs_app import recording
from runs_app.models import PipelineRun, Worker
from runs_app.recording import StepOutcome
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key
from zenweb.execution.protocol import StoredArtifact

Get = Callable[..., Any]
OUTPUTS = {"trainer": "score", "evaluator": "metrics"}
ACCURACY = {"accuracy": 0.2}


@pytest.fixture
def get(rest: Client) -> Get:
    """The JSON that an address answers; `code` is the status that it has to have."""

    def ask(path: str, code: int = 200, **query: Any) -> Any:
        answer = rest.get(f"/api/v1{path}", query)
        assert answer.status_code == code, answer.content
        return answer.json()

    return ask


@pytest.fixture
def bobs(bob: User) -> Client:
    """A REST client that is Bob."""
    return Client(headers={"Authorization": f"Bearer {create_api_key(user=bob, name='tests')[1]}"})


def run_to_the_end(template: RunTemplate, user: User, configuration: Any = None) -> PipelineRun:
    """Its steps are recorded as a worker records them."""
    run = launch(template, user, configuration)
    worker, _ = Worker.objects.get_or_create(
        name="w1", defaults={"hostname": "h", "pid": 1, "queues": ["default"]}
    )
    while attempt := recording.claim_ready_step(worker, "default"):
        recording.note_that_it_runs(attempt.step)
        uri = f"{settings.ARTIFACT_STORE_URI}/{attempt.step.name}"
        Path(uri).mkdir(parents=True, exist_ok=True)
        (Path(uri) / "preview.json").write_text(json.dumps(ACCURACY))
        stored = StoredArtifact(
            uri=uri,
            materializer="zenweb.artifacts.materializers.plain.JsonMaterializer",
            data_type="builtins.dict",
            type="DataArtifact",
            preview={"kind": "json", "file": "preview.json"},
        )
        assert recording.record_end(attempt, StepOutcome(outputs={OUTPUTS[attempt.step.name]: stored}))
    run.refresh_from_db()
    return run


@pytest.fixture
def ended(template: RunTemplate, alice: User) -> PipelineRun:
    template.deployment.stack.artifact_store_uri = settings.ARTIFACT_STORE_URI
    template.deployment.stack.save()
    run = run_to_the_end(template, alice)
    assert run.status == "completed"
    return run


@pytest.fixture
def connection_stays_open() -> Iterator[None]:
    """For who calls the server without Django's client, which sees to it: what is not committed would be lost."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)
