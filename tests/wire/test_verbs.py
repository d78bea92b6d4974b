"""Making, changing, deleting and running, and the class and status of each error."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from runs_app.models import ArtifactVersion, PipelineRun, StepRun
from templates_app.models import Pipeline, PipelineDeployment, RunTemplate
from tests.factories import launch
from tests.wire.conftest import Get
from zenweb.accounts.models import User

API = "/api/v1"
# As the newest clients send it: every key they know, nearly all of them without a value.
FULL_DUMP = {
    "run_name": None,
    "enable_heartbeat": None,
    "pause_hook_source": None,
    "resume_hook_source": None,
    "skip_successful_steps": None,
    "steps_to_skip": None,
    "step_input_overrides": None,
    "step_default_input_overrides": None,
    "steps": {"trainer": {"parameters": {"learning_rate": 0.5}, "heartbeat_healthy_threshold": 30}},
    "settings": {},
    "substitutions": {},
}


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    text = json.dumps(body) if body is not None else ""
    return getattr(client, method)(f"{API}{path}", text, content_type="application/json")


def test_a_template_is_made_changed_and_deleted(
    rest: Client, get: Get, deployment: PipelineDeployment
) -> None:
    body = {"project": "default", "name": "nightly", "description": None, "tags": ["a"], "hidden": False}
    made = send(rest, "post", "/run_templates", body | {"source_deployment_id": str(deployment.id)})
    assert made.status_code == 200
    path = f"/run_templates/{made.json()['id']}"
    nothing = {"name": None, "description": None, "hidden": None, "add_tags": None, "remove_tags": None}
    before = get(path)
    send(rest, "put", path, nothing)
    unchanged = get(path)
    assert unchanged["metadata"] == before["metadata"]
    assert (unchanged["name"], unchanged["body"]["hidden"]) == ("nightly", False)
    changed = send(
        rest, "put", path, nothing | {"hidden": True, "add_tags": ["b"], "remove_tags": ["a"]}
    ).json()
    assert changed["body"]["hidden"] is True
    assert [tag["name"] for tag in changed["resources"]["tags"]] == ["b"]
    deleted = send(rest, "delete", path)
    assert (deleted.status_code, deleted.content) == (200, b"null")
    assert get(path, code=404)["detail"][0] == "KeyError"


def test_a_template_is_made_from_a_run_or_from_another_template(
    rest: Client, deployment: PipelineDeployment, template: RunTemplate
) -> None:
    for name, source in (("of a run", deployment.id), ("of a template", template.id)):
        made = send(rest, "post", "/run_templates", {"name": name, "source_snapshot_id": str(source)})
        assert made.json()["resources"]["source_deployment"]["id"] == str(deployment.id)


def test_a_template_is_a_snapshot_with_a_name(get: Get, template: RunTemplate) -> None:
    query = {
        "named_only": "True",
        "runnable": "True",
        "pipeline": template.pipeline.id,
        "sort_by": "desc:created",
    }
    [listed] = get("/pipeline_snapshots", **query)["items"]
    assert (listed["id"], listed["name"]) == (str(template.id), template.name)
    assert listed["body"] | {"runnable": True, "deployable": False, "is_dynamic": False} == listed["body"]
    assert listed["resources"]["build"]["id"] == str(template.deployment.id)
    whole = get(f"/pipeline_snapshots/{template.id}")["metadata"]
    assert whole["pipeline_configuration"] == {"name": "training_pipeline"}
    assert whole["config_template"]["steps"].keys() == {"trainer", "evaluator"}
    RunTemplate.objects.update(is_enabled=False)
    assert get("/pipeline_snapshots", **query)["items"] == []


def test_a_snapshot_is_run(rest: Client, template: RunTemplate) -> None:
    answer = send(
        rest,
        "post",
        f"/pipeline_snapshots/{template.id}/runs",
        {"run_configuration": FULL_DUMP, "step_run": None},
    )
    assert answer.status_code == 200, answer.content
    assert answer.json()["metadata"]["template_id"] == str(template.id)
    trainer = StepRun.objects.get(run_id=answer.json()["id"], name="trainer")
    assert trainer.parameters["learning_rate"] == 0.5


@pytest.mark.parametrize("body", [None, {}, {"run_configuration": None, "step_run": None}])
def test_a_snapshot_without_a_name_is_run_as_it_is(
    rest: Client, deployment: PipelineDeployment, body: Any
) -> None:
    answer = send(rest, "post", f"/pipeline_snapshots/{deployment.id}/runs", body)
    assert (answer.status_code, answer.json()["metadata"]["template_id"]) == (200, None)


@pytest.mark.parametrize(("body", "pointer"), [({"steps": {}}, "/steps"), ([], "")])
def test_what_stands_outside_of_the_run_configuration_is_refused(
    rest: Client, template: RunTemplate, body: Any, pointer: str
) -> None:
    answer = send(rest, "post", f"/pipeline_snapshots/{template.id}/runs", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert not PipelineRun.objects.exists()


def test_what_newer_clients_can_say_is_accepted_and_not_done_in_silence(
    rest: Client, template: RunTemplate
) -> None:
    answer = send(
        rest, "post", f"/run_templates/{template.id}/runs", FULL_DUMP | {"steps_to_skip": ["trainer"]}
    )
    assert answer.status_code == 200
    assert "/steps_to_skip: accepted, no effect" in answer.json()["warnings"]


def test_a_run_gets_tags_and_nothing_else(rest: Client, get: Get, ended: PipelineRun) -> None:
    path = f"/runs/{ended.id}"
    tagged = send(rest, "put", path, {"add_tags": ["kept", "best"], "status": None}).json()
    assert [tag["name"] for tag in tagged["resources"]["tags"]] == ["kept", "best"]
    send(rest, "put", path, {"remove_tags": ["best"]})
    assert [tag["name"] for tag in get(path)["resources"]["tags"]] == ["kept"]
    answer = send(rest, "put", path, {"status": "failed", "add_tags": ["x"]})
    assert (answer.status_code, answer.json()["detail"][0]) == (422, "ValueError")
    assert send(rest, "put", path, {"add_tags": ["two\nlines"]}).status_code == 422
    ended.refresh_from_db()
    assert (ended.status, ended.tags) == ("completed", ["kept"])


def test_a_run_is_deleted_once_it_has_ended_and_what_it_made_stays(
    rest: Client, bobs: Client, template: RunTemplate, ended: PipelineRun, alice: User
) -> None:
    going_on = launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.9}}}})
    answer = send(rest, "delete", f"/runs/{going_on.id}")
    assert (answer.status_code, answer.json()["detail"][0]) == (403, "IllegalOperationError")
    assert send(bobs, "delete", f"/runs/{ended.id}").status_code == 403
    assert send(bobs, "put", f"/runs/{ended.id}", {"add_tags": ["x"]}).status_code == 403
    assert PipelineRun.objects.count() == 2
    assert send(rest, "delete", f"/runs/{ended.id}").content == b"null"
    assert [run.id for run in PipelineRun.objects.all()] == [going_on.id]
    assert ArtifactVersion.objects.count() == 2


def test_a_pipeline_is_described_by_its_owner(
    rest: Client, bobs: Client, get: Get, template: RunTemplate
) -> None:
    path = f"/pipelines/{template.pipeline.id}"
    assert send(rest, "put", path, {"description": "Ours."}).json()["metadata"]["description"] == "Ours."
    send(rest, "put", path, {"description": None, "add_tags": None})
    assert send(bobs, "put", path, {"description": "Bob's."}).status_code == 403
    assert send(rest, "put", path, {"add_tags": ["x"]}).status_code == 422
    assert get(path)["metadata"]["description"] == "Ours."


def test_a_pipeline_is_deleted_when_nothing_is_lost_with_it(
    rest: Client, bobs: Client, template: RunTemplate, ended: PipelineRun
) -> None:
    path = f"/pipelines/{template.pipeline.name}"
    assert send(bobs, "delete", path).status_code == 403
    answer = send(rest, "delete", path)
    assert (answer.status_code, template.name in answer.json()["detail"][1]) == (403, True)
    send(rest, "delete", f"/run_templates/{template.id}")
    answer = send(rest, "delete", path)
    assert (answer.status_code, "runs" in answer.json()["detail"][1]) == (403, True)
    send(rest, "delete", f"/runs/{ended.id}")
    assert send(rest, "delete", path).content == b"null"
    assert not Pipeline.objects.exists()
    assert not PipelineDeployment.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "kind"),
    [
        ("get", "/runs/{id}", None, 404, "KeyError"),
        ("get", "/runs/{id}/dag", None, 404, "KeyError"),
        ("get", "/steps/{id}", None, 404, "KeyError"),
        ("get", "/steps/{id}/status", None, 404, "KeyError"),
        ("get", "/artifacts/{id}", None, 404, "KeyError"),
        ("get", "/artifact_versions/{id}/visualize", None, 404, "KeyError"),
        ("get", "/pipeline_builds/{id}", None, 404, "KeyError"),
        ("get", "/pipeline_snapshots/{id}", None, 404, "KeyError"),
        ("post", "/pipeline_snapshots/{id}/runs", {}, 404, "KeyError"),
        ("delete", "/pipelines/{id}", None, 404, "KeyError"),
        ("post", "/pipelines", {"name": "training_pipeline"}, 409, "EntityExistsError"),
        ("post", "/run_templates", {"name": 1}, 422, "ValueError"),
        ("post", "/run_templates/daily-retraining/runs", {"nothing": 1}, 422, "ValueError"),
        ("put", "/runs/{id}", {"add_tags": "x"}, 422, "ValueError"),
    ],
)
def test_errors_have_zenmls_class_and_status(
    rest: Client, template: RunTemplate, method: str, path: str, body: Any, code: int, kind: str
) -> None:
    answer = send(rest, method, path.format(id=uuid4()), body)
    assert (answer.status_code, answer.json()["detail"][0]) == (code, kind)
    assert len(answer.json()["detail"]) == 2


def test_who_has_no_credentials_is_asked_for_them(client: Client, template: RunTemplate) -> None:
    """Without the header ZenML's client never logs in."""
    answer = client.get(f"{API}/run_templates/{template.id}")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["detail"][0] == "CredentialsNotValid"


def test_an_address_that_is_no_route(get: Get, db: None) -> None:
    assert get("/flavors/of/the/month", code=404) == {"detail": "Not Found"}


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/runs", "/api/nothing"])
def test_nothing_below_api_is_answered_with_a_page(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
