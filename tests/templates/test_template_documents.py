"""A template as one document over REST: exported, applied, and what applying may not do."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from runs_app.presets import create_preset
from templates_app.grants import grant_role
from templates_app.models import (
    CodeArchive,
    PipelineDeployment,
    Preset,
    RunTemplate,
    RunTemplateVersion,
    Stack,
)
from templates_app.services import delete_run_template
from tests.accounts.conftest import bearer
from tests.factories import freeze, make_template
from zenweb.accounts.models import AuditEvent, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import Role

PATH = "/api/v1/run_templates/daily-retraining/document"
CAREFUL = {"steps": {"trainer": {"parameters": {"learning_rate": 0.01}}}}
Json = dict[str, Any]
Apply = Callable[..., Any]


def put(client: Client, document: Json, query: str = "") -> Any:
    return client.put(f"{PATH}{query}", json.dumps(document), content_type="application/json")


@pytest.fixture
def document(rest: Client, template: RunTemplate, alice: User, bob: User) -> Json:
    """Of a template that has everything."""
    crew = Group.objects.create(name="crew")
    create_preset(actor=alice, template=template, name="careful", configuration=CAREFUL, is_shared=True)
    create_preset(actor=alice, template=template, name="mine", configuration=CAREFUL)
    grant_role(actor=alice, on=template, to=bob, role=Role.VIEWER)
    grant_role(actor=alice, on=template, to=crew, role=Role.EDITOR)
    exported: Json = rest.get(PATH).json()
    return exported


def test_an_export_has_no_ids_no_times_and_nobody_elses_presets(
    document: Json, template: RunTemplate
) -> None:
    assert list(document) == [
        *("format", "name", "description", "tags", "hidden", "enabled", "concurrency", "stack"),
        *("presets", "access", "curation", "pipeline"),
    ]
    assert document["presets"] == {"careful": CAREFUL}
    assert document["access"] == {"restricted": False, "roles": {"bob": "viewer", "group:crew": "editor"}}
    text = json.dumps(document)
    for row in (template, template.version, template.deployment, template.pipeline):
        assert str(row.pk) not in text


def test_applying_what_was_exported_changes_nothing(rest: Client, document: Json) -> None:
    events = AuditEvent.objects.count()
    answer = put(rest, document).json()
    assert answer["outcome"] == "unchanged"
    assert (answer["changes"], answer["version"], answer["is_new_version"]) == ([], 1, False)
    assert AuditEvent.objects.count() == events
    assert rest.get(PATH).json() == document


def test_it_is_made_again_from_nothing_but_its_code(rest: Client, document: Json, alice: User) -> None:
    delete_run_template(actor=alice, template=RunTemplate.objects.get())
    PipelineDeployment.objects.all().delete()
    answer = put(rest, document).json()
    assert (answer["outcome"], answer["version"], answer["changes"]) == ("created", 1, [])
    assert json.dumps(rest.get(PATH).json()) == json.dumps(document)


def test_what_is_no_part_of_a_version_makes_none(rest: Client, document: Json) -> None:
    changed = document | {
        "tags": ["nightly"],
        "hidden": True,
        "concurrency": {"max_concurrent_runs": 2, "policy": "skip"},
    }
    changed["presets"] = {"bold": {"steps": {"trainer": {"parameters": {"learning_rate": 0.9}}}}}
    changed["access"] = {"restricted": True, "roles": {"bob": "runner"}}
    answer = put(rest, changed).json()
    assert (answer["outcome"], answer["version"], answer["is_new_version"]) == ("updated", 1, False)
    told = {change["pointer"]: (change.get("before"), change.get("now")) for change in answer["changes"]}
    assert told["/hidden"] == (False, True)
    assert told["/access/roles/bob"] == ("viewer", "runner")
    assert told["/access/roles/group:crew"] == ("editor", None)
    assert rest.get(PATH).json() == changed
    assert Preset.objects.filter(name="mine").exists()  # personal ones are nobody else's affair


def test_form_and_pipeline_together_make_one_version(rest: Client, document: Json) -> None:
    changed = deepcopy(document)
    changed["curation"] = {"version": 1, "parameters": {"trainer.learning_rate": {"maximum": 0.5}}}
    changed["pipeline"]["requirements"] = ["polars>=1"]
    answer = put(rest, changed).json()
    assert (answer["version"], answer["is_new_version"]) == (2, True)
    assert {change["pointer"] for change in answer["changes"]} == {
        "/curation/version",
        "/curation/parameters",
        "/pipeline/requirements",
    }
    assert put(rest, changed).json()["outcome"] == "unchanged"
    assert RunTemplateVersion.objects.count() == 2


def test_a_dry_run_tells_the_same_and_does_nothing(rest: Client, document: Json) -> None:
    changed = document | {
        "description": "Other",
        "curation": {"parameters": {"trainer.learning_rate": {"hidden": True}}},
    }
    events = AuditEvent.objects.count()
    dry = put(rest, changed, "?dry_run=true").json()
    assert rest.get(PATH).json() == document
    assert (RunTemplateVersion.objects.count(), AuditEvent.objects.count()) == (1, events)
    assert put(rest, changed).json() == dry
    assert dry["version"] == 2


def test_a_document_may_say_only_a_part(rest: Client, document: Json) -> None:
    answer = put(rest, {"format": 1, "name": "daily-retraining", "tags": ["a"]}).json()
    assert [change["pointer"] for change in answer["changes"]] == ["/tags"]
    assert rest.get(PATH).json() == document | {"tags": ["a"]}


def test_whatever_is_wrong_nothing_is_done_and_its_place_is_told(rest: Client, document: Json) -> None:
    changed = document | {"description": "Other"}
    changed["presets"] = {"wild": {"steps": {"trainer": {"parameters": {"learning_rate": 7}}}}}
    answer = put(rest, changed)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/presets/wild/steps/trainer/parameters/learning_rate"
    ]
    assert rest.get(PATH).json() == document


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        (["stack"], "nowhere", "/stack"),
        (["stack"], "default", "/stack"),
        (["tags"], ["a\nb"], "/tags/0"),
        (["concurrency", "max_concurrent_runs"], -1, "/concurrency/max_concurrent_runs"),
        (["access", "roles"], {"nobody-known": "viewer"}, "/access/roles/nobody-known"),
        (["curation"], {"parameters": {"trainer.nothing": {}}}, "/curation/parameters/trainer.nothing"),
        (["pipeline", "code"], "sha256:" + "0" * 64, "/pipeline/code"),
        (["pipeline", "requirements"], ["!"], "/pipeline/requirements/0"),
        (["pipeline", "spec", "version"], 99, "/pipeline/spec/version"),
        (["pipeline", "spec", "steps", 0, "sourc"], "x", "/pipeline/spec/steps/0/sourc"),
        (["pipeline", "config_schema"], {"type": "object"}, "/pipeline/config_schema"),
        (["format"], 2, "/format"),
    ],
)
def test_errors_point_into_the_document(
    rest: Client, document: Json, path: list[Any], value: Any, pointer: str
) -> None:
    here: Any = document
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    answer = put(rest, document)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_dry_run_says_that_code_is_missing_and_stores_none(rest: Client, document: Json) -> None:
    document["pipeline"]["code"] = "sha256:" + "0" * 64
    answer = put(rest, document, "?dry_run=true").json()
    assert (answer["needs_code"], answer["is_new_version"]) == (True, True)
    [change] = answer["changes"]
    assert (change["pointer"], change["now"]) == ("/pipeline/code", document["pipeline"]["code"])
    assert CodeArchive.objects.count() == 1


def test_what_somebody_has_changed_meanwhile_is_not_taken_back(rest: Client, document: Json) -> None:
    changed = document | {"curation": {"parameters": {"trainer.learning_rate": {"hidden": True}}}}
    assert put(rest, changed, "?if_version=1").json()["version"] == 2
    answer = put(rest, document, "?if_version=1")
    assert answer.status_code == 422
    assert "This template has become version 2 meanwhile." in answer.json()["detail"][1]
    assert "become version 2" in put(rest, document, "?if_version=0").json()["detail"][1]


def test_an_editor_applies_without_roles_and_an_owner_with_them(
    document: Json, bob: User, template: RunTemplate
) -> None:
    RoleGrant.objects.filter(user=bob).update(role=Role.EDITOR)
    bobs = bearer(create_api_key(user=bob, name="b")[1])
    assert "access" not in bobs.get(PATH).json()
    refused = put(bobs, document | {"description": "Other"})
    assert (refused.status_code, RunTemplate.objects.get().description) == (403, template.description)
    del document["access"]
    assert put(bobs, document | {"description": "Other"}).json()["outcome"] == "updated"


def test_a_name_that_somebody_else_hides_is_taken(document: Json, rest: Client, alice: User) -> None:
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    RunTemplate.objects.update(is_restricted=True, user=carol)
    answer = put(rest, document)
    assert answer.status_code == 409


def test_code_of_others_is_not_had_by_its_hash(document: Json, template: RunTemplate, alice: User) -> None:
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    RoleGrant.objects.create(project=template.project, user=carol, role=Role.EDITOR)
    RunTemplate.objects.update(is_restricted=True)
    carols = bearer(create_api_key(user=carol, name="c")[1])
    stolen = {**document, "name": "stolen"}
    stolen.pop("access")
    answer = carols.put(
        PATH.replace("daily-retraining", "stolen"), json.dumps(stolen), content_type="application/json"
    )
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/pipeline/code"]


def test_a_switched_off_template_is_made_with_its_presets(rest: Client, document: Json, alice: User) -> None:
    delete_run_template(actor=alice, template=RunTemplate.objects.get())
    assert put(rest, document | {"enabled": False}).json()["outcome"] == "created"
    assert rest.get(PATH).json() == document | {"enabled": False}
    assert put(rest, document).json()["changes"] == [{"pointer": "/enabled", "before": False, "now": True}]


def test_presets_of_a_template_that_is_switched_off_are_judged_and_kept(
    rest: Client, document: Json, template: RunTemplate
) -> None:
    RunTemplate.objects.update(is_enabled=False)
    asked = {"format": 1, "name": template.name}
    wrong = put(rest, asked | {"presets": {"bold": {"steps": {"trainr": {"parameters": {"epochs": 1}}}}}})
    assert [error["pointer"] for error in wrong.json()["errors"]] == ["/presets/bold/steps/trainr"]
    kept = put(rest, asked | {"presets": {"careful": CAREFUL, "bold": CAREFUL}})
    assert (kept.status_code, rest.get(PATH).json()["enabled"]) == (200, False)
    assert Preset.objects.filter(name="bold").exists()


def test_the_set_of_files_is_kept(rest: Client, document: Json) -> None:
    answer = put(rest, document, "?managed_by=ml-team").json()
    assert answer["changes"] == [{"pointer": "/managed_by", "before": "", "now": "ml-team"}]
    assert put(rest, document, "?managed_by=ml-team").json()["outcome"] == "unchanged"
    assert put(rest, document).json()["outcome"] == "unchanged"
    assert rest.get(PATH).json() == document


def test_pages_say_that_it_is_kept_in_files(
    client: Client, rest: Client, document: Json, template: RunTemplate
) -> None:
    client.force_login(template.user)
    pages = [
        reverse(name, args=[template.pk])
        for name in ("run-template", "run-template-form", "run-template-access")
    ]
    assert not any("kept in files" in client.get(page).content.decode().lower() for page in pages)
    put(rest, document, "?managed_by=ml-team")
    for page in pages:
        text = client.get(page).content.decode()
        assert "kept in files" in text.lower()
        assert "ml-team" in text


def test_a_file_with_a_secret_in_it_is_refused(rest: Client, alice: User, stacks: dict[str, Stack]) -> None:
    make_template(freeze("secretive.secretive_pipeline", alice, stacks["celery"]), alice, "secretive")
    path = PATH.replace("daily-retraining", "secretive")
    document = rest.get(path).json()
    document["presets"] = {"mine": {"steps": {"tells": {"parameters": {"token": "hush-hush"}}}}}
    answer = rest.put(path, json.dumps(document), content_type="application/json")
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/presets/mine/steps/tells/parameters/token"
    assert "hush-hush" not in answer.content.decode()


def test_an_owner_by_a_role_hands_over(template: RunTemplate, bob: User) -> None:
    User.objects.create_user(username="carol", password="carol has a long password")
    grant_role(actor=template.user, on=template, to=bob, role=Role.OWNER)
    bobs = bearer(create_api_key(user=bob, name="b")[1])
    access = {"restricted": False, "roles": {"carol": "owner"}}
    answer = put(bobs, {"format": 1, "name": template.name, "enabled": False, "access": access})
    assert [(grant.holder, grant.role) for grant in RoleGrant.objects.filter(template=template)] == [
        ("carol", Role.OWNER)
    ]
    changed = {change["pointer"] for change in answer.json()["changes"]}
    assert changed == {"/enabled", "/access/roles/bob", "/access/roles/carol"}


def test_no_code_is_read_for_its_hash(rest: Client, document: Json) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert rest.get(PATH).json() == document
        assert put(rest, document).json()["outcome"] == "unchanged"
    assert not [query for query in asked if '"templates_app_codearchive"."content"' in query["sql"]]
