"""Presets over REST, from Python and on the command line: kept values that every channel uses by name."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from runs_app.models import PipelineRun, Schedule, StepRun
from runs_app.presets import create_preset, update_preset
from templates_app.models import Preset, RunTemplate, RunTemplateVersion
from tests.cli.conftest import alices, config_folder, zenweb  # noqa: F401  # fixtures
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key
from zenweb.client import Client as Sdk
from zenweb.exceptions import EntityExists, NotAllowed
from zenweb.sealing import opened

API = "/api/v1/run_templates/daily-retraining"
NIGHTLY = {"steps": {"trainer": {"parameters": {"learning_rate": 0.25, "model_type": "svm"}}}}
KEPT = {"steps": {"trainer": {"parameters": {"learning_rate": 0.25}}}}


@pytest.fixture
def bobs_rest(bob: User) -> Client:
    key = create_api_key(user=bob, name="tests")[1]
    return Client(headers={"Authorization": f"Bearer {key}"})


def post(rest: Client, path: str = "presets", **body: Any) -> Any:
    return rest.post(f"{API}/{path}", body, content_type="application/json")


def save(rest: Client, name: str = "nightly", **body: Any) -> Any:
    return post(rest, name=name, configuration=NIGHTLY, **body)


def trained_with() -> dict[str, Any]:
    step = StepRun.objects.filter(name="trainer").order_by("-created")[0]
    parameters: dict[str, Any] = opened(step.parameters, step.run_id)
    return parameters


def with_secret(template: RunTemplate, **keywords: Any) -> None:
    """The template's trainer gets another parameter, a secret one unless the keywords say otherwise."""
    trainer = template.deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    secret = {"type": "string", "format": "password", "writeOnly": True}
    trainer["properties"]["parameters"]["properties"]["key"] = keywords or secret
    template.deployment.save()


def newer_version(template: RunTemplate, **rate: Any) -> None:
    """A second version, in which the learning rate has other rules."""
    deployment = template.deployment
    deployment.pk, deployment._state.adding, deployment.fingerprint = None, True, "newer"
    deployment.id = RunTemplate._meta.pk.default()
    trainer = deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    trainer["properties"]["parameters"]["properties"]["learning_rate"] |= rate
    deployment.save(force_insert=True)
    template.latest_version = RunTemplateVersion.objects.create(
        template=template, number=2, deployment=deployment
    )
    template.save()


def test_what_differs_from_the_defaults_is_kept_and_shown(rest: Client, template: RunTemplate) -> None:
    answer = save(rest)
    assert answer.status_code == 200
    assert answer.json() == rest.get(f"{API}/presets/nightly").json()
    assert answer.json()["metadata"]["configuration"] == KEPT
    assert (answer.json()["body"]["shared"], answer.json()["body"]["problems"]) == (False, [])
    [listed] = rest.get(f"{API}/presets").json()["items"]
    assert (listed["name"], listed["metadata"]) == ("nightly", None)


def test_a_run_starts_from_a_preset_named_in_the_body_with_the_body_over_it(
    rest: Client, template: RunTemplate
) -> None:
    save(rest)
    assert post(rest, "runs", preset="nightly").status_code == 200
    assert trained_with() == {"learning_rate": 0.25, "model_type": "svm"}
    body = {"steps": {"trainer": {"parameters": {"model_type": "rf"}}}}
    assert post(rest, "runs", preset="nightly", **body).status_code == 200
    assert trained_with() == {"learning_rate": 0.25, "model_type": "rf"}
    told = PipelineRun.objects.latest("created").events.values_list("sentence", flat=True)
    assert 'Its values start from the preset "nightly".' in told


def test_a_preset_may_be_named_in_the_address(rest: Client, template: RunTemplate) -> None:
    save(rest)
    assert post(rest, "runs?preset=nightly").status_code == 200
    assert trained_with()["learning_rate"] == 0.25


def test_a_configuration_with_a_preset_is_judged_as_it_would_run(rest: Client, template: RunTemplate) -> None:
    save(rest)
    judged = post(rest, "validate", preset="nightly", steps={"trainer": {"parameters": {"model_type": "rf"}}})
    assert (judged.json()["valid"], judged.json()["errors"]) == (True, [])
    told = judged.json()["configuration"]["steps"]["trainer"]["parameters"]
    assert told == {"learning_rate": 0.25, "model_type": "rf"}
    newer_version(template, maximum=0.2)
    [error] = post(rest, "validate?preset=nightly").json()["errors"]
    assert error["pointer"] == "/steps/trainer/parameters/learning_rate"
    assert "the preset 'nightly'" in error["message"]
    [error] = post(rest, "validate", preset="nihgtly").json()["errors"]
    assert (error["pointer"], "Did you mean 'nightly'?" in error["message"]) == ("/preset", True)
    assert not PipelineRun.objects.exists()


def test_without_a_preset_a_run_has_the_defaults(rest: Client, template: RunTemplate) -> None:
    save(rest)
    post(rest, "runs", preset=None)
    assert trained_with()["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("preset", "status", "words"),
    [
        ("nihgtly", 404, "has no preset 'nihgtly'. Did you mean 'nightly'?"),
        (7, 422, "A preset is named by a text."),
        ("last-good", 404, "No run of 'daily-retraining' has completed yet"),
    ],
)
def test_a_preset_that_does_not_exist_runs_nothing(
    rest: Client, template: RunTemplate, preset: Any, status: int, words: str
) -> None:
    save(rest)
    answer = post(rest, "runs", preset=preset)
    assert (answer.status_code, words in answer.text) == (status, True)
    assert not PipelineRun.objects.exists()


def test_last_good_values_are_those_of_the_last_completed_run(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    with_secret(template)
    for rate, status, age in ((0.2, "completed", 3), (0.3, "completed", 2), (0.4, "failed", 1)):
        values = {"learning_rate": rate, "key": "hush"}
        run = launch(template, alice, {"steps": {"trainer": {"parameters": values}}})
        PipelineRun.objects.filter(pk=run.pk).update(
            status=status, end_time=timezone.now() - timedelta(hours=age)
        )
    post(rest, "runs", preset="last-good")
    assert trained_with() == {"learning_rate": 0.3, "model_type": "svm"}


def test_asking_twice_with_one_key_is_one_run_even_if_the_preset_changed_between(
    rest: Client, template: RunTemplate
) -> None:
    save(rest)
    key = {"HTTP_IDEMPOTENCY_KEY": "once"}
    asked = {"path": f"{API}/runs", "data": {"preset": "nightly"}, "content_type": "application/json"}
    first = rest.post(**asked, **key)
    rest.put(f"{API}/presets/nightly", {"configuration": {}}, content_type="application/json")
    again = rest.post(**asked, **key)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = {**asked, "data": {"preset": "last-good"}}
    assert rest.post(**other, **key).status_code == 422


def test_a_secret_is_never_kept(rest: Client, template: RunTemplate) -> None:
    with_secret(template)
    values = {"learning_rate": 0.25, "key": "hush"}
    answer = post(rest, name="nightly", configuration={"steps": {"trainer": {"parameters": values}}})
    assert answer.status_code == 200
    assert "hush" not in answer.text
    assert Preset.objects.get().configuration == KEPT


def test_a_secret_inside_of_a_value_is_not_kept_either(rest: Client, template: RunTemplate) -> None:
    secret = {"anyOf": [{"$ref": "#/$defs/Login"}, {"type": "null"}]}
    with_secret(template, type="array", items=secret)
    template.deployment.config_schema.setdefault("$defs", {})["Login"] = {
        "type": "object",
        "properties": {"user": {"type": "string"}, "password": {"type": "string", "format": "password"}},
    }
    template.deployment.save()
    values = {"learning_rate": 0.25, "key": [{"user": "ada", "password": "hush"}]}
    post(rest, name="nightly", configuration={"steps": {"trainer": {"parameters": values}}})
    kept = {"learning_rate": 0.25, "key": [{"user": "ada"}]}
    assert Preset.objects.get().configuration == {"steps": {"trainer": {"parameters": kept}}}


def test_a_required_value_may_be_missing_a_wrong_one_is_refused(rest: Client, template: RunTemplate) -> None:
    with_secret(template, type="integer")
    trainer = template.deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    trainer["properties"]["parameters"]["required"] = ["key"]
    template.deployment.save()
    assert save(rest).status_code == 200
    wrong = {"steps": {"trainer": {"parameters": {"learning_rate": 2, "rate": 1}}}}
    answer = post(rest, name="weekly", configuration=wrong)
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/steps/trainer/parameters/learning_rate",
        "/steps/trainer/parameters/rate",
    ]
    assert not Preset.objects.filter(name="weekly").exists()
    assert "This value is required." in post(rest, "runs", preset="nightly").text


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("nightly", 409, "You have a preset of this template called 'nightly' already."),
        ("last-good", 422, "always stands for the values of the last completed run"),
        ("a/b", 422, "no slash"),
        (" ", 422, "between 1 and 255"),
    ],
)
def test_names_that_are_taken_or_no_names_are_refused(
    rest: Client, template: RunTemplate, name: str, status: int, words: str
) -> None:
    save(rest)
    answer = save(rest, name)
    assert (answer.status_code, words in answer.text) == (status, True)
    assert Preset.objects.count() == 1


def test_a_shared_preset_is_everybodys_and_hidden_by_ones_own(
    rest: Client, bobs_rest: Client, template: RunTemplate
) -> None:
    save(rest, shared=True)
    assert save(bobs_rest, shared=True).status_code == 409
    own = {"steps": {"trainer": {"parameters": {"learning_rate": 0.75}}}}
    assert post(bobs_rest, name="nightly", configuration=own).status_code == 200
    post(bobs_rest, "runs", preset="nightly")
    assert trained_with()["learning_rate"] == 0.75
    post(rest, "runs", preset="nightly")
    assert trained_with()["learning_rate"] == 0.25
    assert [bobs_rest.get(f"{API}/presets").json()["total"], rest.get(f"{API}/presets").json()["total"]] == [
        2,
        1,
    ]


def test_a_private_preset_is_nobody_elses(rest: Client, bobs_rest: Client, template: RunTemplate) -> None:
    save(rest)
    for answer in (bobs_rest.get(f"{API}/presets/nightly"), post(bobs_rest, "runs", preset="nightly")):
        assert answer.status_code == 404
    assert bobs_rest.get(f"{API}/presets").json()["total"] == 0


def test_only_its_owner_and_the_templates_owner_change_a_shared_preset(
    rest: Client, bobs_rest: Client, template: RunTemplate
) -> None:
    save(rest, shared=True)
    refused = bobs_rest.delete(f"{API}/presets/nightly")
    assert (refused.status_code, "under a name of your own" in refused.text) == (403, True)
    save(bobs_rest, "bobs", shared=True)
    assert rest.delete(f"{API}/presets/bobs").status_code == 200
    assert bobs_rest.get(f"{API}/presets/bobs").status_code == 404


def test_a_preset_is_renamed_shared_and_given_other_values(rest: Client, template: RunTemplate) -> None:
    save(rest)
    body = {"name": "weekly", "shared": True, "configuration": {}}
    changed = rest.put(f"{API}/presets/nightly", body, content_type="application/json").json()
    assert (changed["name"], changed["body"]["shared"]) == ("weekly", True)
    assert changed["metadata"]["configuration"] == {}


def test_a_new_version_that_breaks_a_preset_is_told_with_the_reason(
    rest: Client, template: RunTemplate
) -> None:
    save(rest)
    post(rest, name="slow", configuration={})
    newer_version(template, maximum=0.2)
    told = {item["name"]: item["body"] for item in rest.get(f"{API}/presets").json()["items"]}
    assert told["slow"]["problems"] == []
    assert told["nightly"]["problems"] == [
        {"pointer": "/steps/trainer/parameters/learning_rate", "message": "This must be at most 0.2."}
    ]
    refused = post(rest, "runs", preset="nightly")
    assert (refused.status_code, "It is from the preset 'nightly'" in refused.text) == (422, True)
    body = {"preset": "nightly", **NIGHTLY}
    assert "It is from" not in rest.post(f"{API}/runs", body, content_type="application/json").text


def test_a_template_that_changes_its_defaults_changes_what_a_preset_leaves_to_it(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    rf = {"steps": {"trainer": {"parameters": {"learning_rate": 0.1, "model_type": "rf"}}}}
    preset = create_preset(actor=alice, template=template, name="forest", configuration=rf)
    assert preset.configuration == {"steps": {"trainer": {"parameters": {"model_type": "rf"}}}}


def test_two_that_come_at_the_same_moment_are_kept_apart_by_the_database(
    template: RunTemplate, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_preset(actor=alice, template=template, name="nightly", is_shared=True)
    monkeypatch.setattr(
        "runs_app.presets._check_name", lambda preset: None
    )  # both have looked before either wrote
    with pytest.raises(EntityExists, match="has a shared preset called 'nightly'"):
        create_preset(actor=alice, template=template, name="nightly", is_shared=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Preset.objects.create(
            template=template, version=template.version, user=alice, name="nightly", is_shared=True
        )


def test_a_schedule_takes_the_values_of_a_preset_for_its_own(rest: Client, template: RunTemplate) -> None:
    save(rest)
    body = {
        "name": "early",
        "template": "daily-retraining",
        "cron_expression": "0 5 * * *",
        "preset": "nightly",
    }
    answer = rest.post("/api/v1/schedules", body, content_type="application/json")
    assert answer.status_code == 200
    assert Schedule.objects.get().configuration == KEPT
    refused = rest.post(
        "/api/v1/schedules", {**body, "name": "x", "preset": "none"}, content_type="application/json"
    )
    assert (refused.status_code, Schedule.objects.count()) == (404, 1)


def test_presets_from_python_and_the_command_line(alices: Any, rest: Client, template: RunTemplate) -> None:  # noqa: F811
    save(rest)
    Sdk().trigger_pipeline(template_id="daily-retraining", preset="nightly")
    assert trained_with() == {"learning_rate": 0.25, "model_type": "svm"}
    setting = "steps.trainer.parameters.model_type=rf"
    ran = alices("run-template", "run", "daily-retraining", "--preset", "nightly", "--set", setting)
    assert (ran.exit_code, trained_with()) == (0, {"learning_rate": 0.25, "model_type": "rf"})
    assert alices("run-template", "run", "daily-retraining", "--preset", "nigthly").exit_code == 1
    made = alices(
        *("schedule", "create", "daily-retraining", "--name", "early"),
        *("--cron", "0 5 * * *", "--preset", "nightly"),
    )
    assert (made.exit_code, Schedule.objects.get().configuration) == (0, KEPT)


def test_a_secret_comes_from_the_environment_as_the_text_it_is(
    alices: Any,  # noqa: F811
    template: RunTemplate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_secret(template)
    monkeypatch.setenv("TRAINER_KEY", "12345")
    run = ("run-template", "run", "daily-retraining", "--set-env")
    assert alices(*run, "steps.trainer.parameters.key=TRAINER_KEY").exit_code == 0
    assert trained_with()["key"] == "12345"
    missing = alices(*run, "steps.trainer.parameters.key=TRAINER_KEYS")
    assert (missing.exit_code, "no environment variable TRAINER_KEYS" in missing.stderr) == (2, True)


def test_a_secret_that_tells_a_kind_is_asked_for_beside_the_preset(
    rest: Client, template: RunTemplate
) -> None:
    """Without it the value would be one of another kind, which runs as something that nobody asked for."""
    secret = {"type": "string", "format": "password", "writeOnly": True}
    url = {"type": "string"}
    kinds = [
        {"type": "object", "properties": {"url": url, "token": {"anyOf": [secret, {"type": "null"}]}}},
        {"type": "object", "properties": {"url": url}},
    ]
    with_secret(template, anyOf=kinds)
    value = {"url": "x", "token": "hush"}
    body = {"name": "mine", "configuration": {"steps": {"trainer": {"parameters": {"key": value}}}}}
    kept = rest.post(f"{API}/presets", body, content_type="application/json").json()["metadata"][
        "configuration"
    ]
    assert kept["steps"]["trainer"]["parameters"]["key"] == {"url": "x", "token": None}
    refused = rest.post(f"{API}/runs", {"preset": "mine"}, content_type="application/json")
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["pointer"] == "/steps/trainer/parameters/key/token"
    for value in ({"url": "x", "token": "hush"}, {"url": "y"}):  # the same kind, and another on purpose
        given = {"preset": "mine", "steps": {"trainer": {"parameters": {"key": value}}}}
        assert rest.post(f"{API}/runs", given, content_type="application/json").status_code == 200
        assert trained_with()["key"] == value


def test_who_renames_a_preset_undoes_nothing_that_another_changed_meanwhile(
    template: RunTemplate, alice: User
) -> None:
    preset = create_preset(actor=alice, template=template, name="mine")
    seen_before = Preset.objects.get(pk=preset.pk)
    update_preset(actor=alice, preset=preset, is_shared=True, configuration=KEPT)
    update_preset(actor=alice, preset=seen_before, name="ours")
    preset.refresh_from_db()
    assert (preset.name, preset.is_shared, preset.configuration) == ("ours", True, KEPT)


def test_what_became_private_meanwhile_is_its_owners_alone(
    template: RunTemplate, alice: User, bob: User
) -> None:
    preset = create_preset(actor=bob, template=template, name="his", is_shared=True)
    seen_before = Preset.objects.get(pk=preset.pk)
    update_preset(actor=bob, preset=preset, is_shared=False)
    with pytest.raises(NotAllowed):
        update_preset(actor=alice, preset=seen_before, name="hers")
