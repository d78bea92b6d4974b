"""Texts and numbers that a database may not like: each is stored, or refused in words, the same way everywhere."""

import json
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


UNSEEN = ["a\x00b", "a\nb", "a\tb", "a\x1b[31mb", "a\u2028b", "a\x85b"]


@pytest.mark.parametrize("text", [*UNSEEN, AWKWARD])
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"run_name": ...}, "/run_name"),
        ({"run_name": "of {team}", "substitutions": {"team": ...}}, "/run_name"),
        ({"tags": ["fine", ...]}, "/tags/1"),
    ],
)
def test_a_run_is_called_by_what_can_be_seen(
    body: dict[str, Any], pointer: str, text: str, template: RunTemplate, rest: Client
) -> None:
    url = f"/api/v1/run_templates/{template.id}/runs"
    sent = json.loads(json.dumps(body, default=lambda _: text))
    answer = rest.post(url, sent, content_type="application/json")
    assert answer.status_code == 422
    assert text == AWKWARD or [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize("text", ["Größe 日本 👩\u200d🔬", "a\u00a0b"])
def test_a_run_is_called_as_people_write(text: str, template: RunTemplate, alice: User) -> None:
    run = launch(template, alice, {"run_name": text, "tags": [text]})
    run.refresh_from_db()
    assert (run.name, run.tags) == (text, [text])


@pytest.mark.parametrize("text", [*UNSEEN, "a\ud800b"])
def test_a_template_or_a_schedule_is_called_by_what_can_be_seen(
    text: str, template: RunTemplate, rest: Client
) -> None:
    url = f"/api/v1/run_templates/{template.id}"
    schedule = {"name": text, "template": template.name, "cron_expression": "0 6 * * *"}
    for ask, path, body in (
        (rest.put, url, {"name": text}),
        (rest.put, url, {"add_tags": [text]}),
        (rest.post, f"{url}/presets", {"name": f"x{text}x"}),
        (rest.post, "/api/v1/schedules", schedule),
    ):
        assert ask(path, body, content_type="application/json").status_code == 422
