"""What is too much is refused at a bounded cost, in words, and never with a server error."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from zenweb.accounts.models import User
from zenweb.api.openapi import description

RUN = "/api/v1/run_templates/daily-retraining/runs"
SIGNING_IN = {"/login", "/device_authorization"}
PLACES = [
    ("POST", RUN),
    ("POST", f"{RUN}?dry_run=true"),
    ("POST", "/api/v1/run_templates/daily-retraining/validate"),
    ("POST", "/api/v1/run_templates/daily-retraining/presets"),
    ("PUT", "/api/v1/run_templates/daily-retraining/curation"),
    ("POST", "/api/v1/run_templates"),
    ("POST", "/api/v1/pipeline_deployments"),
    ("POST", "/api/v1/schedules"),
    ("POST", "/api/v1/run-metadata"),
    ("POST", "/api/v1/login"),
]


def nested(depth: int, kind: str) -> str:
    opening, closing = ("[", "]") if kind == "list" else ('{"a":', "}")
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize(("method", "path"), PLACES)
def test_however_deep_a_body_is_nested_it_is_answered(
    rest: Client, template: RunTemplate, method: str, path: str, kind: str
) -> None:
    for depth in (50, 300, 700, 950, 10_000):
        deep = nested(depth, kind)
        for body in (
            deep,
            f'{{"steps": {{"trainer": {{"parameters": {{"learning_rate": {deep}}}}}}}}}',
            f'{{"name": "x", "configuration": {deep}, "spec": {deep}, "config_schema": {deep}, "extra": {deep}}}',
        ):
            answer = rest.generic(method, path, body, content_type="application/json")
            assert answer.status_code < 500, answer.content[:500]
            assert answer.status_code >= 400 or answer.json()["valid"] is False
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(
    "body",
    ["NaN", '{"a": Infinity}', '{"a": 1, "a": 2}', '{"a": 1' + "0" * 5_000 + "}", "{", "[1,]"],
)
def test_what_is_no_json_is_refused(rest: Client, template: RunTemplate, body: str) -> None:
    answer = rest.post(RUN, body.encode(), content_type="application/json")
    assert answer.status_code in {400, 422}
    assert not PipelineRun.objects.exists()


def test_a_form_with_too_many_fields_is_refused(client: Client, template: RunTemplate, alice: User) -> None:
    client.force_login(alice)
    fields = {f"field{number}": "x" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}
    assert client.post(template.get_absolute_url(), fields).status_code == 400
    many = "&".join(f"f{number}=1" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1))
    answer = client.post("/login/", many, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400


def test_only_signing_in_may_answer_429() -> None:
    paths: dict[str, Any] = description()["paths"]
    said = {
        path.removeprefix("/api/v1")
        for path, methods in paths.items()
        for method in methods.values()
        if "429" in method["responses"]
    }
    assert said <= SIGNING_IN
    assert json.dumps(paths).count('"429"') <= len(SIGNING_IN)


def many(number: int, what: str) -> str:
    return ",".join(f'"k{index}":{what}' for index in range(number))


@pytest.mark.parametrize(
    "body",
    [
        f'{{"steps":{{{many(5_000, "{}")}}}}}',
        f'{{"steps":{{"trainer":{{"parameters":{{{many(5_000, "1")}}}}}}}}}',
        f"{{{many(5_000, 'null')}}}",
    ],
)
def test_of_thousands_of_errors_the_first_are_told(rest: Client, template: RunTemplate, body: str) -> None:
    answer = rest.post(RUN, body, content_type="application/json")
    errors = answer.json()["errors"]
    assert (answer.status_code, len(errors)) == (422, 201)
    assert errors[-1]["message"].startswith("More is wrong than these 200 things.")


def test_more_values_than_a_file_should_have_are_not_looked_at(rest: Client, template: RunTemplate) -> None:
    body = f'{{"steps":{{"trainer":{{"parameters":{{"learning_rate":[{"1," * 100_000}1]}}}}}}}}'
    answer = rest.post(RUN, body, content_type="application/json")
    assert answer.status_code == 422
    assert [error["message"] for error in answer.json()["errors"]] == [
        "These are more than 100,000 values. Hand so many on as a file."
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"tags": [f"t{number}" for number in range(101)]}, "/tags"),
        ({"extra": {"note": "x" * 64_000}}, "/extra"),
        ({"steps": {"trainer": {"extra": {"note": "x" * 64_000}}}}, "/steps/trainer/extra"),
    ],
)
def test_what_each_list_would_carry_is_bounded(
    rest: Client, template: RunTemplate, body: Any, pointer: str
) -> None:
    answer = rest.post(RUN, json.dumps(body), content_type="application/json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not PipelineRun.objects.exists()


def test_tags_are_no_more_when_they_are_added_one_after_another(rest: Client, template: RunTemplate) -> None:
    path = f"/api/v1/run_templates/{template.id}"
    for tags, status in (([f"a{n}" for n in range(60)], 200), ([f"b{n}" for n in range(60)], 422)):
        answer = rest.put(path, json.dumps({"add_tags": tags}), content_type="application/json")
        assert answer.status_code == status
    template.refresh_from_db()
    assert len(template.tags) == 60


def test_what_has_more_tags_since_before_can_still_be_changed(rest: Client, template: RunTemplate) -> None:
    path = f"/api/v1/run_templates/{template.id}"
    RunTemplate.objects.update(tags=[f"t{number}" for number in range(120)])
    for change, status in (
        ({"description": "x"}, 200),
        ({"remove_tags": ["t1"]}, 200),
        ({"add_tags": ["new"]}, 422),
    ):
        assert rest.put(path, json.dumps(change), content_type="application/json").status_code == status
    template.refresh_from_db()
    assert len(template.tags) == 119
