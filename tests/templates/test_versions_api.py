"""The versions of a run template over REST: looked at, made of deployments, made the newest again."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key

PATH = "/api/v1/run_templates/daily-retraining"
BOUNDED = {"version": 1, "parameters": {"trainer.learning_rate": {"maximum": 0.5}}}


def send(rest: Client, verb: str, path: str, body: Any = None) -> Any:
    return getattr(rest, verb)(f"{PATH}{path}", json.dumps(body), content_type="application/json")


@pytest.fixture
def elsewhere(template: RunTemplate, alice: User) -> PipelineDeployment:
    """The same pipeline, frozen for another stack."""
    return freeze(
        "training.training_pipeline", alice, Stack.objects.create(name="gpu", orchestrator="celery")
    )


@pytest.fixture
def bobs(bob: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {create_api_key(user=bob, name='b')[1]}"})


def test_versions_are_listed_from_the_newest(rest: Client, template: RunTemplate) -> None:
    send(rest, "put", "/curation", BOUNDED)
    page = rest.get(f"{PATH}/versions").json()
    assert (page["total"], page["index"]) == (2, 1)
    bodies = [item["body"] for item in page["items"]]
    assert [(body["number"], body["is_newest"]) for body in bodies] == [(2, True), (1, False)]
    assert [item["metadata"] for item in page["items"]] == [None, None]
    assert rest.get(f"{PATH}/versions?number=lt:2").json()["total"] == 1


def test_what_is_large_of_versions_is_read_only_where_it_is_shown(
    rest: Client, template: RunTemplate
) -> None:
    send(rest, "put", "/curation", BOUNDED)
    for query, is_read in (("", False), ("?hydrate=true", True)):
        with CaptureQueriesContext(connection) as asked:
            items = rest.get(f"{PATH}/versions{query}").json()["items"]
        read = [each["sql"] for each in asked if 'FROM "templates_app_runtemplateversion"' in each["sql"]]
        assert len(read) == 2  # which ones, and what is in them
        for name in ("config_schema", "config_template", "curation"):
            assert (f'"{name}"' in read[1]) is is_read, name
        assert [item["metadata"] is not None for item in items] == [is_read] * 2


def test_one_is_found_by_its_number_and_its_id(rest: Client, template: RunTemplate) -> None:
    send(rest, "put", "/curation", BOUNDED)
    second = rest.get(f"{PATH}/versions/2").json()
    assert second["metadata"]["curation"] == BOUNDED
    assert rest.get(f"{PATH}/versions/{second['id']}").json() == second
    first = rest.get(f"{PATH}/versions/1").json()["metadata"]
    assert first["curation"] == {"version": 1}
    trainer = first["config_schema"]["properties"]["steps"]["properties"]["trainer"]
    assert trainer["properties"]["parameters"]["properties"]["learning_rate"]["maximum"] == 1


@pytest.mark.parametrize("version", ["3", "0", "99999999999999999999", "x", "²", "0d2f"])
def test_a_version_that_there_is_not_is_not_found(rest: Client, template: RunTemplate, version: str) -> None:
    assert rest.get(f"{PATH}/versions/{version}").status_code == 404
    assert send(rest, "post", f"/versions/{version}/restore").status_code == 404


def test_a_version_is_made_of_a_deployment_with_the_form_as_it_is(
    rest: Client, template: RunTemplate, elsewhere: PipelineDeployment
) -> None:
    send(rest, "put", "/curation", BOUNDED)
    for _ in range(2):  # the second time there is nothing to do
        made = send(rest, "post", "/versions", {"source_deployment_id": str(elsewhere.id)}).json()
        assert made["body"]["number"] == 3
    assert made["resources"]["stack"]["name"] == "gpu"
    assert made["metadata"]["curation"] == BOUNDED


def test_a_version_is_restored_as_a_new_one(
    rest: Client, template: RunTemplate, elsewhere: PipelineDeployment
) -> None:
    send(rest, "put", "/curation", BOUNDED)
    send(rest, "put", "/curation", {})
    send(rest, "post", "/versions", {"source_deployment_id": str(elsewhere.id)})
    restored = send(rest, "post", "/versions/2/restore").json()
    assert (restored["body"]["number"], restored["metadata"]["curation"]) == (5, BOUNDED)
    template.refresh_from_db()
    assert (template.version.number, template.deployment.stack.name) == (5, "celery")


def test_restoring_what_there_is_changes_nothing(rest: Client, template: RunTemplate) -> None:
    assert send(rest, "post", "/versions/1/restore").json()["body"]["number"] == 1
    assert template.versions.count() == 1


def test_what_cannot_be_a_version_is_refused(
    rest: Client, template: RunTemplate, alice: User, stacks: dict[str, Stack]
) -> None:
    other = freeze("failures.fragile_pipeline", alice, stacks["celery"])
    local = freeze("training.training_pipeline", alice, stacks["default"])
    for source, status in ((str(other.id), 422), (str(local.id), 422), ("", 422), ("0000000a", 404)):
        body = {"source_deployment_id": source} if source else {}
        assert send(rest, "post", "/versions", body).status_code == status
    assert template.versions.count() == 1


def test_only_who_may_change_a_template_makes_versions(
    bobs: Client, rest: Client, template: RunTemplate, elsewhere: PipelineDeployment
) -> None:
    send(rest, "put", "/curation", BOUNDED)
    assert bobs.get(f"{PATH}/versions/1").status_code == 200
    for path, body in (
        ("/versions", {"source_deployment_id": str(elsewhere.id)}),
        ("/versions/1/restore", None),
    ):
        assert send(bobs, "post", path, body).status_code == 403
    assert template.versions.count() == 2
