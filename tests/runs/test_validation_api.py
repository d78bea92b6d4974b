"""Asking over REST what a run configuration would come to, before anything is run."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from runs_app.models import IdempotencyRecord, PipelineRun
from templates_app.models import CodeArchive, Pipeline, PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze, launch, make_editor, make_template
from tests.web.test_secrets import describe
from zenweb.accounts.models import AuditEvent, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import KeyAccess

QUERIES = 3  # the key, the template, whether the name of the run is free


def ask(rest: Client, template: RunTemplate, body: Any, content_type: str = "application/json") -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    address = f"/api/v1/run_templates/{template.name}/validate"
    return rest.post(address, text, content_type=content_type)


def ask_yaml(rest: Client, template: RunTemplate, text: str) -> Any:
    return ask(rest, template, text, "application/yaml").json()


def with_rate(rate: Any) -> dict[str, Any]:
    return {"steps": {"trainer": {"parameters": {"learning_rate": rate}}}}


def test_what_would_run_is_told_and_nothing_is_made(rest: Client, template: RunTemplate) -> None:
    answer = ask(rest, template, with_rate(0.5) | {"tags": ["ci"], "enable_heartbeat": True})
    assert answer.status_code == 200
    judged = answer.json()
    assert (judged["valid"], judged["errors"]) == (True, [])
    assert judged["warnings"] == ["/enable_heartbeat: accepted, no effect"]
    resolved = judged["configuration"]
    assert resolved["steps"]["trainer"]["parameters"] == {"learning_rate": 0.5, "model_type": "svm"}
    assert resolved["tags"] == ["ci"]
    assert not PipelineRun.objects.exists()
    assert not IdempotencyRecord.objects.exists()


def test_a_field_that_a_model_does_not_have_is_told(
    rest: Client, stacks: dict[str, Stack], alice: User
) -> None:
    typed = make_template(freeze("typed.typed_pipeline", alice, stacks["celery"]), alice, "typed")
    given = {"name": "x", "optimizer": {"lr": 1, "extra": 9}, "weights": {"any": 1}}
    judged = ask(rest, typed, {"steps": {"trainer": {"parameters": given}}}).json()
    assert judged["warnings"] == [
        "/steps/trainer/parameters/optimizer/extra: its type has no such field, so that the step may not get it"
    ]


@pytest.mark.parametrize("body", ["", "null", {}, {"steps": None}])
def test_nothing_set_is_a_configuration_too(rest: Client, template: RunTemplate, body: Any) -> None:
    assert ask(rest, template, body).json()["valid"]


def test_everything_that_is_wrong_is_told_with_its_pointer(rest: Client, template: RunTemplate) -> None:
    body = {"steps": {"trainer": {"parameters": {"learning_rate": 2, "modeltype": "rf"}}, "evaluater": {}}}
    judged = ask(rest, template, body).json()
    assert (judged["valid"], judged["configuration"]) == (False, None)
    messages = {error["pointer"]: error["message"] for error in judged["errors"]}
    assert messages["/steps/trainer/parameters/learning_rate"] == "This must be at most 1."
    assert "Did you mean 'model_type'?" in messages["/steps/trainer/parameters/modeltype"]
    assert "/steps/evaluater" in messages
    refused = rest.post(
        f"/api/v1/run_templates/{template.id}/runs", json.dumps(body), content_type="application/json"
    )
    assert refused.json()["errors"] == judged["errors"]


def test_errors_in_yaml_are_told_with_their_lines(rest: Client, template: RunTemplate) -> None:
    text = (
        "# mine\nsteps:\n  trainer:\n    parameters:\n      learning_rate: 2\n      modeltype: rf\nstepz: 1\n"
    )
    judged = ask_yaml(rest, template, text)
    assert {error["pointer"]: error["line"] for error in judged["errors"]} == {
        "/steps/trainer/parameters/learning_rate": 5,
        "/steps/trainer/parameters/modeltype": 6,
        "/stepz": 7,
    }


def test_what_is_missing_is_told_at_the_line_where_it_is_missed(rest: Client, template: RunTemplate) -> None:
    describe(template.deployment, {}, is_required=True)
    text = "tags: [a]\nsteps:\n  trainer:\n    parameters:\n      learning_rate: 0.5\n"
    [error] = ask_yaml(rest, template, text)["errors"]
    assert error["line"] == 4


def test_text_that_is_no_yaml_is_an_answer_with_a_line(rest: Client, template: RunTemplate) -> None:
    answer = ask(rest, template, "run_name: a\nrun_name: b\n", "application/yaml; charset=utf-8")
    assert answer.status_code == 200
    sentence = "The key 'run_name' is there twice: in line 1 before."
    assert answer.json()["errors"] == [{"pointer": "", "message": sentence, "line": 2}]


def test_yaml_and_json_are_judged_alike(rest: Client, template: RunTemplate) -> None:
    text = "steps: {trainer: {parameters: {learning_rate: 0.5}}}"
    from_yaml, from_json = ask_yaml(rest, template, text), ask(rest, template, with_rate(0.5)).json()
    assert from_yaml["configuration"]["steps"] == from_json["configuration"]["steps"]


@pytest.mark.parametrize(("body", "status"), [("{", 400), ('{"a": 1, "a": 2}', 400)])
def test_broken_json_is_refused(rest: Client, template: RunTemplate, body: str, status: int) -> None:
    assert ask(rest, template, body).status_code == status


def test_a_name_that_is_taken_is_told(rest: Client, template: RunTemplate, alice: User) -> None:
    launch(template, alice, {"run_name": "mine"})
    [error] = ask(rest, template, {"run_name": "mine"}).json()["errors"]
    assert error["pointer"] == "/run_name"
    assert "already exists" in error["message"]
    assert ask(rest, template, {"run_name": "mine-{time}"}).json()["valid"]


def test_a_template_that_is_switched_off_is_told(rest: Client, template: RunTemplate) -> None:
    RunTemplate.objects.update(is_enabled=False)
    [error] = ask(rest, template, {}).json()["errors"]
    assert "is switched off" in error["message"]


def test_a_secret_is_not_sent_back(rest: Client, template: RunTemplate) -> None:
    describe(template.deployment, {})
    answer = ask(rest, template, {"steps": {"trainer": {"parameters": {"key": "hush"}}}})
    assert answer.json()["valid"]
    assert "hush" not in answer.text
    assert answer.json()["configuration"]["steps"]["trainer"]["parameters"]["key"] == "••••••"


def test_it_asks_the_database_the_same_few_things_whatever_is_asked(
    rest: Client, template: RunTemplate, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask(rest, template, {})  # reads the deployment once
    for body in ({}, with_rate(0.5), with_rate(0.5) | {"tags": ["a"] * 50, "run_name": "mine"}):
        with django_assert_num_queries(QUERIES):
            ask(rest, template, body)


def test_a_stranger_learns_nothing(client: Client, template: RunTemplate) -> None:
    assert ask(client, template, {}).status_code == 401


def test_a_deployment_is_judged_as_it_is(rest: Client, template: RunTemplate) -> None:
    put = {"version": 1, "parameters": {"trainer.learning_rate": {"maximum": 0.1}}}
    rest.put(f"/api/v1/run_templates/{template.name}/curation", put, content_type="application/json")
    address = f"/api/v1/pipeline_deployments/{template.deployment.pk}/validate"
    judged = rest.post(address, with_rate(0.5), content_type="application/json").json()
    assert judged["valid"]
    assert judged["configuration"]["steps"]["trainer"]["parameters"]["learning_rate"] == 0.5
    judged = rest.post(address, "steps:\n  trainr: {}", content_type="application/yaml").json()
    assert [(error["pointer"], error["line"]) for error in judged["errors"]] == [("/steps/trainr", 2)]
    assert not ask(rest, template, with_rate(0.5)).json()["valid"]
    assert not PipelineRun.objects.exists()


def test_a_snapshot_is_judged_with_the_body_that_runs_it(rest: Client, template: RunTemplate) -> None:
    for snapshot in (template.pk, template.name, template.deployment.pk):
        address = f"/api/v1/pipeline_snapshots/{snapshot}"
        for rate, is_valid in ((0.5, True), (2, False)):
            body = {"run_configuration": with_rate(rate)}
            judged = rest.post(f"{address}/validate", body, content_type="application/json").json()
            assert judged["valid"] is is_valid
    refused = rest.post(f"{address}/runs", body, content_type="application/json")
    assert refused.json()["errors"] == judged["errors"]


def test_a_deployment_is_not_judged_with_a_key_that_may_not_run_it(template: RunTemplate, bob: User) -> None:
    key = create_api_key(user=bob, name="b", access=KeyAccess.RUN)[1]
    bobs = Client(headers={"Authorization": f"Bearer {key}"})
    assert ask(bobs, template, {}).status_code == 200
    address = f"/api/v1/pipeline_deployments/{template.deployment.pk}/validate"
    assert bobs.post(address, "{}", content_type="application/json").status_code == 403


def ask_unfrozen(rest: Client, deployment: PipelineDeployment, configuration: Any, **changes: Any) -> Any:
    names = ("spec", "config_schema", "config_template", "requirements", "python_version", "client_version")
    body = {name: getattr(deployment, name) for name in names}
    body |= {
        "pipeline": "unseen",
        "stack": "celery",
        "code_archive": "a" * 64,
        "configuration": configuration,
    }
    address = "/api/v1/pipeline_deployments/new/validate"
    return rest.post(address, json.dumps(body | changes), content_type="application/json")


def test_a_pipeline_is_judged_before_it_is_frozen_and_nothing_is_made(
    rest: Client, deployment: PipelineDeployment
) -> None:
    before = [model.objects.count() for model in (Pipeline, PipelineDeployment, CodeArchive, AuditEvent)]
    told = ask_unfrozen(rest, deployment, with_rate(0.5) | {"failure_hook_source": "alerts.tell"}).json()
    assert (told["valid"], told["configuration"]["steps"]["trainer"]["parameters"]["learning_rate"]) == (
        True,
        0.5,
    )
    wrong = ask_unfrozen(rest, deployment, with_rate(7) | {"stepz": {}}).json()
    assert (wrong["valid"], wrong["configuration"]) == (False, None)
    assert {error["pointer"] for error in wrong["errors"]} == {
        "/stepz",
        "/steps/trainer/parameters/learning_rate",
    }
    assert [
        model.objects.count() for model in (Pipeline, PipelineDeployment, CodeArchive, AuditEvent)
    ] == before


def test_what_could_not_be_frozen_is_refused_as_freezing_it_is(
    rest: Client, deployment: PipelineDeployment
) -> None:
    assert ask_unfrozen(rest, deployment, {}, spec={"version": 99}).status_code == 422
    assert ask_unfrozen(rest, deployment, {}, stack="nowhere").status_code == 404


def test_nothing_of_others_code_is_told_to_who_knows_its_hash(
    deployment: PipelineDeployment, template: RunTemplate, bob: User
) -> None:
    make_editor(bob)
    RunTemplate.objects.update(is_restricted=True)
    bobs = Client(headers={"Authorization": f"Bearer {create_api_key(user=bob, name='b')[1]}"})
    others = {"code_archive": deployment.code_archive.sha256}
    told = ask_unfrozen(bobs, deployment, {"failure_hook_source": "no_such_module.tell"}, **others).json()
    assert (told["valid"], told["errors"]) == (True, [])
