"""The form of a template over REST, from Python and on the command line: exported, imported, carried over."""

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from templates_app.models import PipelineDeployment, RunTemplate
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key

PATH = "/api/v1/run_templates/daily-retraining"
CURATION = {
    "version": 1,
    "sections": [{"title": "Learning", "parameters": ["trainer.learning_rate"]}],
    "parameters": {"trainer.learning_rate": {"label": "Rate", "maximum": 0.5}},
}


def put(rest: Client, document: Any, path: str = f"{PATH}/curation") -> Any:
    return rest.put(path, json.dumps(document), content_type="application/json")


def test_a_curation_is_replaced_and_given_back(rest: Client, template: RunTemplate) -> None:
    assert rest.get(f"{PATH}/curation").json() == {"version": 1}
    answer = put(rest, CURATION)
    assert (answer.status_code, answer.json()["body"]["version"]) == (200, 2)
    rate = answer.json()["metadata"]["config_schema"]["properties"]["steps"]["properties"]["trainer"]
    assert rate["properties"]["parameters"]["properties"]["learning_rate"]["title"] == "Rate"
    assert rest.get(f"{PATH}/curation").json() == CURATION


def test_what_is_exported_can_be_imported(rest: Client, template: RunTemplate) -> None:
    put(rest, CURATION)
    assert put(rest, rest.get(f"{PATH}/curation").json()).json()["body"]["version"] == 2


def test_everything_that_is_wrong_is_told_with_its_pointer(rest: Client, template: RunTemplate) -> None:
    parameters = {"trainer.learning_rate": {"maximum": 2, "locked": 3}, "trainer.rate": {}}
    answer = put(rest, {"parameters": parameters})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/parameters/trainer.learning_rate/maximum",
        "/parameters/trainer.learning_rate/locked",
        "/parameters/trainer.rate",
    ]
    assert template.versions.count() == 1


def test_what_cannot_be_read_hides_nothing_that_does_not_fit(rest: Client, template: RunTemplate) -> None:
    document = {
        "version": 2,
        "colour": "red",
        "sections": [
            {"parameters": ["trainer.speed"]},
            7,
            {"title": "", "parameters": [3, "trainer.rate", "trainer.learning_rate"]},
            {"title": "Again", "parameters": ["trainer.learning_rate"]},
        ],
        "parameters": {
            "trainer.learning_rate": {"maximum": 2, "lokced": 3, "hidden": "yes"},
            "trainer.model_type": {"minimum": "low", "choices": ["svn"]},
            "trainer.rate": {},
            "evaluator.threshold": 5,
        },
    }
    told = {error["pointer"]: error["message"] for error in put(rest, document).json()["errors"]}
    assert told.keys() == {
        "/version",
        "/colour",
        "/sections/0/title",
        "/sections/0/parameters/0",
        "/sections/1",
        "/sections/2/title",
        "/sections/2/parameters/0",
        "/sections/2/parameters/1",
        "/sections/3/parameters/0",
        "/parameters/trainer.learning_rate/maximum",
        "/parameters/trainer.learning_rate/lokced",
        "/parameters/trainer.learning_rate/hidden",
        "/parameters/trainer.model_type/minimum",
        "/parameters/trainer.model_type/choices",
        "/parameters/trainer.rate",
        "/parameters/evaluator.threshold",
    }
    assert "Did you mean 'locked'?" in told["/parameters/trainer.learning_rate/lokced"]
    assert template.versions.count() == 1


@pytest.mark.parametrize("body", ["null", ""])
def test_a_form_is_taken_away_only_by_who_says_so(body: str, rest: Client, template: RunTemplate) -> None:
    put(rest, CURATION)
    answer = rest.put(f"{PATH}/curation", body, content_type="application/json")
    assert answer.status_code == 422
    assert "{} takes all of it away" in answer.json()["detail"][1]
    template.refresh_from_db()
    assert template.version.number == 2
    assert put(rest, {}).status_code == 200


@pytest.mark.parametrize("document", [[], 7, "form", {"parameters": 7}, {"sections": {"a": 1}}])
def test_what_is_no_curation_at_all_is_told(document: Any, rest: Client, template: RunTemplate) -> None:
    answer = put(rest, document)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 1)


def test_others_may_look_and_not_touch(client: Client, template: RunTemplate, bob: User) -> None:
    bobs = Client(headers={"Authorization": f"Bearer {create_api_key(user=bob, name='b')[1]}"})
    assert bobs.get(f"{PATH}/curation").status_code == 200
    assert put(bobs, CURATION).status_code == 403
    assert template.versions.count() == 1


@pytest.fixture
def without_rate(deployment: PipelineDeployment) -> PipelineDeployment:
    """The same pipeline with another type of learning rate."""
    deployment.fingerprint = "another"
    step = deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    step["properties"]["parameters"]["properties"]["learning_rate"] = {"type": "string", "default": "fast"}
    deployment.pk = uuid.uuid4()
    deployment.save(force_insert=True)
    return deployment


def freeze_again(rest: Client, deployment: PipelineDeployment, **extra: Any) -> Any:
    body = {"name": "daily-retraining", "source_deployment_id": str(deployment.id), "update": True, **extra}
    return rest.post("/api/v1/run_templates", json.dumps(body), content_type="application/json")


def test_a_restriction_that_does_not_fit_a_new_version_is_dropped_only_when_told(
    rest: Client, template: RunTemplate, without_rate: PipelineDeployment
) -> None:
    put(rest, CURATION)
    refused = freeze_again(rest, without_rate)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/curation/parameters/trainer.learning_rate/maximum"
    assert "--drop-misfits" in error["message"]
    answer = freeze_again(rest, without_rate, drop_misfits=True).json()
    assert answer["body"]["version"] == 3
    assert "cannot be bounded so" in answer["warnings"][0]
    kept = {
        "version": 1,
        "sections": CURATION["sections"],
        "parameters": {"trainer.learning_rate": {"label": "Rate"}},
    }
    assert rest.get(f"{PATH}/curation").json() == kept
