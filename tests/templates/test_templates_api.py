"""Run templates, deployments and code over REST."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from templates_app.api import views
from templates_app.models import CodeArchive, PipelineDeployment, RunTemplate, Stack
from templates_app.services import create_run_template, update_run_template
from tests.factories import PIPELINES, freeze
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.config.code_archive import pack
from zenweb.enums import Role

API = "/api/v1"
SECRET = {"type": "string", "format": "password", "writeOnly": True}


def chosen(*depends_on: str) -> dict[str, Any]:
    return {"type": "string", "zenweb-choices": {"depends_on": depends_on, "cache": 1, "timeout": 1}}


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(f"{API}{path}", json.dumps(body), content_type="application/json")


def create(rest: Client, deployment: PipelineDeployment, **extra: Any) -> Any:
    return post(
        rest, "/run_templates", {"name": "nightly", "source_deployment_id": str(deployment.id), **extra}
    )


def test_a_template_is_made_from_a_deployment(rest: Client, deployment: PipelineDeployment) -> None:
    answer = create(rest, deployment, description="every night", tags=["prod"])
    assert answer.status_code == 200
    entity = answer.json()
    assert entity["name"] == "nightly"
    assert entity["body"] | {"runnable": True, "hidden": False, "version": 1} == entity["body"]
    assert set(entity["metadata"]) == {"description", "pipeline_spec", "config_template", "config_schema"}
    assert [tag["name"] for tag in entity["resources"]["tags"]] == ["prod"]


def test_a_name_that_is_taken_is_refused(rest: Client, deployment: PipelineDeployment) -> None:
    create(rest, deployment)
    answer = create(rest, deployment)
    assert answer.status_code == 409
    assert answer.json()["detail"][0] == "EntityExistsError"
    assert RunTemplate.objects.count() == 1


def test_update_makes_a_version_only_of_what_changed(
    rest: Client, deployment: PipelineDeployment, alice: User, stacks: dict[str, Stack]
) -> None:
    create(rest, deployment)
    assert create(rest, deployment, update=True).json()["body"]["version"] == 1
    elsewhere = Stack.objects.create(name="gpu", orchestrator="celery", queue="gpu")
    other = freeze("training.training_pipeline", alice, elsewhere)
    assert create(rest, other, update=True).json()["body"]["version"] == 2


def test_a_template_stays_with_its_pipeline(
    rest: Client, deployment: PipelineDeployment, alice: User, stacks: dict[str, Stack]
) -> None:
    create(rest, deployment)
    answer = create(rest, freeze("failures.fragile_pipeline", alice, stacks["celery"]), update=True)
    assert answer.status_code == 422
    assert "training_pipeline" in answer.json()["detail"][1]


def test_freezing_the_same_code_twice_makes_nothing_new(alice: User, stacks: dict[str, Stack]) -> None:
    first, second = (freeze("training.training_pipeline", alice, stacks["celery"]) for _ in range(2))
    assert first == second
    assert CodeArchive.objects.count() == PipelineDeployment.objects.count() == 1


def test_a_local_stack_is_refused_with_the_remote_ones_named(
    rest: Client, alice: User, stacks: dict[str, Stack]
) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    answer = create(rest, local)
    assert answer.status_code == 422
    assert "zenweb stack set" in answer.json()["detail"][1]
    assert "celery" in answer.json()["detail"][1]
    assert not RunTemplate.objects.exists()


def test_a_template_is_found_by_name_id_and_beginning_of_its_id(rest: Client, template: RunTemplate) -> None:
    for key in (template.name, str(template.id), str(template.id)[:8]):
        assert rest.get(f"{API}/run_templates/{key}").json()["id"] == str(template.id)


def test_an_unknown_template_is_not_found(rest: Client, stacks: dict[str, Stack]) -> None:
    answer = rest.get(f"{API}/run_templates/nothing")
    assert answer.status_code == 404
    assert answer.json()["detail"] == ["KeyError", "There is no run template 'nothing'."]


def test_lists_follow_zenmls_page(rest: Client, template: RunTemplate) -> None:
    page = rest.get(f"{API}/run_templates?hydrate=false&logical_operator=and&page=1&size=20").json()
    assert {key: page[key] for key in ("index", "max_size", "total_pages", "total")} == {
        "index": 1,
        "max_size": 20,
        "total_pages": 1,
        "total": 1,
    }
    assert page["items"][0]["metadata"] is None


def test_lists_are_filtered_by_pipeline(rest: Client, template: RunTemplate) -> None:
    pipeline = rest.get(f"{API}/pipelines?hydrate=false&name=training_pipeline").json()["items"][0]
    found = rest.get(f"{API}/run_templates?pipeline_id={pipeline['id']}").json()
    assert [entry["name"] for entry in found["items"]] == [template.name]
    assert rest.get(f"{API}/run_templates?name=startswith:nothing").json()["total"] == 0


@pytest.mark.parametrize(
    "query", ["page=0", "size=0", "size=1000000000", "sort_by=nothing", "id=gte:x", "created=x"]
)
def test_impossible_queries_are_refused(rest: Client, template: RunTemplate, query: str) -> None:
    assert rest.get(f"{API}/run_templates?{query}").status_code == 422


def test_a_template_is_renamed_but_not_to_a_name_that_is_taken(rest: Client, template: RunTemplate) -> None:
    url = f"{API}/run_templates/{template.id}"
    assert (
        rest.put(url, {"name": "weekly", "add_tags": ["a"]}, content_type="application/json").status_code
        == 200
    )
    RunTemplate.objects.create(project=template.project, name="taken", latest_version=template.latest_version)
    assert rest.put(url, {"name": "taken"}, content_type="application/json").status_code == 409
    assert rest.get(url).json()["name"] == "weekly"


def test_only_its_owner_deletes_a_template(rest: Client, template: RunTemplate, bob: User) -> None:
    url = f"{API}/run_templates/{template.id}"
    bobs = Client(headers={"Authorization": f"Bearer {create_api_key(user=bob, name='k')[1]}"})
    assert bobs.delete(url).status_code == 403
    answer = rest.delete(url)
    assert (answer.status_code, answer.json()) == (200, None)
    assert not RunTemplate.objects.exists()


def test_code_is_stored_under_its_hash(rest: Client, stacks: dict[str, Stack]) -> None:
    archive = pack(PIPELINES)
    url = f"{API}/code_archives/{archive.sha256}"
    assert rest.get(url).status_code == 404
    assert rest.put(url, archive.content, content_type="application/gzip").json()["sha256"] == archive.sha256
    assert rest.get(url).content == archive.content


@pytest.mark.parametrize("content", [b"", b"no archive", pack(Path(__file__).parent).content])
def test_code_that_is_not_what_its_hash_says_is_refused(
    rest: Client, stacks: dict[str, Stack], content: bytes
) -> None:
    answer = rest.put(f"{API}/code_archives/{'0' * 64}", content, content_type="application/gzip")
    assert answer.status_code == 422
    assert not CodeArchive.objects.exists()


def test_a_deployment_with_a_broken_spec_is_refused(rest: Client, deployment: PipelineDeployment) -> None:
    body = {
        "pipeline": "p",
        "stack": "celery",
        "spec": {"version": 1, "name": "p"},
        "config_schema": {},
        "config_template": {},
        "code_archive": deployment.code_archive.sha256,
        "python_version": "3.11",
        "client_version": "0.1.0",
    }
    answer = post(rest, "/pipeline_deployments", body)
    assert answer.status_code == 422
    assert all(error["pointer"].startswith("/spec/") for error in answer.json()["errors"])
    assert PipelineDeployment.objects.count() == 1


def test_requirements_that_name_no_package_are_refused_each_at_its_place(
    rest: Client, deployment: PipelineDeployment
) -> None:
    body = {
        "pipeline": "p",
        "stack": "celery",
        "spec": deployment.spec,
        "config_schema": deployment.config_schema,
        "config_template": {},
        "code_archive": deployment.code_archive.sha256,
        "python_version": "3.11",
        "client_version": "0.1.0",
        "requirements": ["Pandas == 2.2", "--index-url https://example.com", "-e .", "requests"],
    }
    answer = post(rest, "/pipeline_deployments", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/requirements/1", "/requirements/2"]
    assert PipelineDeployment.objects.count() == 1
    body["requirements"] = ["requests", "Pandas == 2.2"]
    assert post(rest, "/pipeline_deployments", body).status_code == 200
    assert PipelineDeployment.objects.get(pipeline__name="p").requirements == ["pandas==2.2", "requests"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"key": SECRET, "table": chosen("key")}, "depend on 'key', a secret"),
        ({"login": {"properties": {"key": SECRET}}, "table": chosen("login")}, "depend on 'login', a secret"),
        ({"region": {"type": "string"}, "table": chosen("regoin")}, "Did you mean 'region'?"),
        ({"table": chosen("nowhere.region")}, "no parameter 'nowhere.region'"),
        ({"table": {**chosen(), **SECRET}}, "A secret is not chosen"),
        ({"tables": {"type": "array", "items": chosen("table")}}, "no parameter 'table'"),
    ],
)
def test_choices_that_cannot_be_asked_for_are_refused_whoever_wrote_the_schema(
    rest: Client, deployment: PipelineDeployment, parameters: dict[str, Any], words: str
) -> None:
    step = deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    step["properties"]["parameters"] = {"type": "object", "properties": parameters}
    body = {
        "pipeline": "p",
        "stack": "celery",
        "spec": deployment.spec,
        "config_schema": deployment.config_schema,
        "config_template": {},
        "code_archive": deployment.code_archive.sha256,
        "python_version": "3.11",
        "client_version": "0.1.0",
    }
    (error,) = post(rest, "/pipeline_deployments", body).json()["errors"]
    place = "/config_schema/properties/steps/properties/trainer/properties/parameters/properties/"
    assert error["pointer"] == place + list(parameters)[-1]
    assert words in error["message"]
    assert PipelineDeployment.objects.count() == 1


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer nonsense", "Bearer ZENKEY_bm9uc2Vuc2U=", "Basic abc"]
)
def test_without_a_good_key_nobody_gets_in(db: None, header: str) -> None:
    answer = Client(headers={"Authorization": header} if header else {}).get(f"{API}/run_templates")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["detail"][0] == "CredentialsNotValid"


def test_a_key_is_exchanged_for_a_token_that_works(alices_key: str) -> None:
    login = Client().post(f"{API}/login", {"grant_type": "zenml-api-key", "password": alices_key}).json()
    assert login["token_type"] == "bearer"
    bearer = Client(headers={"Authorization": f"Bearer {login['access_token']}"})
    assert bearer.get(f"{API}/current-user").json()["name"] == "alice"


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_address_that_is_no_route_is_not_found(alices_key: str, method: str) -> None:
    bearer = Client(headers={"Authorization": f"Bearer {alices_key}"}, enforce_csrf_checks=True)
    answer = getattr(bearer, method)(f"{API}/run_templates/x/runs/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_what_nobody_foresaw_is_told_as_json(alices_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "visible_stacks", lambda _: 1 / 0)
    careless = Client(headers={"Authorization": f"Bearer {alices_key}"}, raise_request_exception=False)
    answer = careless.get(f"{API}/stacks")
    assert (answer.status_code, answer.json()["detail"][0]) == (500, "RuntimeError")


def test_a_body_over_the_limit_is_not_read(rest: Client, template: RunTemplate, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    answer = rest.post(
        f"{API}/run_templates/{template.id}/runs", " " * 2_000, content_type="application/json"
    )
    assert answer.status_code == 413


def test_a_mistyped_name_is_answered_with_the_one_that_was_meant(rest: Client, template: RunTemplate) -> None:
    answer = rest.get(f"{API}/run_templates/daily-retrainin")
    assert "Did you mean 'daily-retraining'?" in answer.json()["detail"][1]


@pytest.mark.parametrize("name", ["", "  ", "team/daily", "..", "x" * 300])
def test_a_name_that_no_address_can_hold_is_refused(
    rest: Client, deployment: PipelineDeployment, name: str
) -> None:
    assert create(rest, deployment, name=name).status_code == 422
    assert not RunTemplate.objects.exists()


def test_a_rename_beside_a_new_version_keeps_the_version(
    template: RunTemplate, alice: User, stacks: dict[str, Stack]
) -> None:
    read_before = RunTemplate.objects.get(pk=template.pk)
    elsewhere = Stack.objects.create(name="gpu", orchestrator="celery", queue="gpu")
    newer = freeze("training.training_pipeline", alice, elsewhere)
    create_run_template(actor=alice, name=template.name, deployment=newer, update=True)
    update_run_template(actor=alice, template=read_before, description="new words")
    template.refresh_from_db()
    assert (template.version.number, template.description) == (2, "new words")


@pytest.mark.parametrize("body", ["[1]", '{"password": 1}', '{"password": ""}', "{}"])
def test_a_login_without_a_password_is_refused(db: None, body: str) -> None:
    assert Client().post(f"{API}/login", body, content_type="application/json").status_code == 422


def test_a_service_account_signs_in_with_keys_only(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_service_account=True)
    form = {"username": "alice", "password": "alice has a long password"}
    assert Client().post(f"{API}/login", form).status_code == 401


def test_an_id_goes_before_a_name_that_looks_like_it(rest: Client, template: RunTemplate) -> None:
    RunTemplate.objects.filter(pk=template.pk).update(name="~last in every order")
    for text in (str(template.id), template.id.hex):
        RunTemplate.objects.create(
            project=template.project, name=text, latest_version=template.latest_version
        )
        assert rest.get(f"{API}/run_templates/{text}").json()["name"] == "~last in every order"


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_a_name_that_looks_like_an_id_is_refused(
    rest: Client, deployment: PipelineDeployment, template: RunTemplate, spelling: str
) -> None:
    name = spelling.format(template.id)
    assert "must not look like an id" in create(rest, deployment, name=name).json()["detail"][1]
    answer = rest.put(f"{API}/run_templates/{template.id}", {"name": name}, content_type="application/json")
    assert answer.status_code == 422
    assert RunTemplate.objects.count() == 1


def test_a_run_is_not_called_like_an_id(rest: Client, template: RunTemplate) -> None:
    answer = post(rest, f"/run_templates/{template.id}/runs", {"run_name": str(template.id)})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/run_name")


def test_a_template_is_made_in_the_project_of_its_deployment(
    rest: Client, deployment: PipelineDeployment, alice: User
) -> None:
    other = Project.objects.create(name="other")
    assert create(rest, deployment, name="here", project="default").status_code == 200
    for unseen in ("nosuch", "other"):
        assert create(rest, deployment, name="nowhere", project=unseen).status_code == 404
    RoleGrant.objects.create(user=alice, project=other, role=Role.EDITOR)
    refused = create(rest, deployment, name="elsewhere", project="other")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/project")
    assert [template.name for template in RunTemplate.objects.all()] == ["here"]
