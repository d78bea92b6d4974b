"""Texts and numbers that a database may not like: each is stored, or refused in words, the same way everywhere."""

from typing import Any

import pytest
from django.test import Client

from runs_app import recording
from runs_app.models import ArtifactVersion, PipelineRun, StepRun, Worker
from runs_app.recording import StepOutcome
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.artifacts.json_encoding import decode, encode
from zenweb.execution.protocol import StepException, StoredArtifact

AWKWARD = "a\x00b\ud800c"


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"])


def end_first_step(worker: Worker, outcome: StepOutcome) -> None:
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    assert recording.record_end(attempt, outcome)


def test_json_comes_back_as_it_came(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    document = {"zebra": 1e30, "ant": "a\x00b", "bee": 2**70, "cow": [0.1, 3.0, None]}
    PipelineRun.objects.filter(pk=run.pk).update(configuration=document)
    run.refresh_from_db()
    assert repr(run.configuration) == repr(document)


def test_a_step_is_given_its_nul(stacks: dict[str, Stack], alice: User, rest: Client, worker: Worker) -> None:
    deployment = freeze("failures.fragile_pipeline", alice, stacks["celery"])
    template = make_template(deployment, alice, "fragile")
    body = {"steps": {"ends": {"parameters": {"how": "a\x00b"}}}}
    answer = rest.post(f"/api/v1/run_templates/{template.id}/runs", body, content_type="application/json")
    assert answer.status_code == 200
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    assert attempt.step.parameters["how"] == "a\x00b"


def test_the_order_of_a_schema_is_kept(deployment: PipelineDeployment) -> None:
    made = list(deployment.config_schema["properties"])
    deployment.refresh_from_db()
    assert list(deployment.config_schema["properties"]) == made


def test_an_exception_may_say_anything(template: RunTemplate, alice: User, worker: Worker) -> None:
    launch(template, alice)
    end_first_step(worker, StepOutcome(exception=StepException(type="E", message=AWKWARD, traceback=AWKWARD)))
    assert "a\ufffdb?c" in StepRun.objects.get(name="trainer").status_reason


def test_metadata_comes_back_equal(template: RunTemplate, alice: User, worker: Worker) -> None:
    facts: dict[str, Any] = {"loss": float("inf"), "note": AWKWARD, "big": 1e30, "many": 2**70}
    stored = StoredArtifact(
        uri="/x", materializer="m.M", data_type="builtins.float", type="DataArtifact", metadata=encode(facts)
    )
    launch(template, alice)
    end_first_step(worker, StepOutcome(outputs={"score": stored}))
    assert decode(ArtifactVersion.objects.get().metadata) == facts


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs?name=a%00b",
        "/api/v1/runs?name=contains:%00",
        "/api/v1/runs/a%00b",
        "/api/v1/run_templates/%00",
    ],
)
def test_nothing_has_a_nul_in_its_name(path: str, rest: Client) -> None:
    assert rest.get(path).status_code in {200, 404, 422}


@pytest.mark.parametrize(
    "path", ["/runs/?q=a%00b", "/templates/?q=%00", "/templates/?user=%00", "/runs/?status=%00"]
)
def test_nothing_is_found_by_a_nul(path: str, client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(path).status_code in {200, 404}


def test_nobody_signs_in_with_a_nul(client: Client, db: None) -> None:
    answer = client.post("/api/v1/login", {"username": "a\x00b", "password": "c\x00d"})
    assert answer.status_code in {401, 422}
    assert client.post("/login/", {"username": "a\x00b", "password": "c\x00d"}).status_code in {200, 422}


@pytest.mark.parametrize("field", ["run_name", "unknown"])
def test_a_run_cannot_be_named_with_a_nul(field: str, template: RunTemplate, rest: Client) -> None:
    url = f"/api/v1/run_templates/{template.id}/runs"
    assert rest.post(url, {field: AWKWARD}, content_type="application/json").status_code == 422
