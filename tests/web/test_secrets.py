"""Secrets in forms and on pages: never sent back to the browser, and never lost without a word."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun, Worker
from runs_app.schedules import create_schedule
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from templates_app.services import create_run_template
from tests.factories import freeze, launch
from tests.web.test_repairing_a_run import finish
from zenweb.accounts.models import User
from zenweb.sealing import opened

KEY = "steps.trainer.parameters.key"
RATE = "steps.trainer.parameters.learning_rate"
EXPECTED = {f"expected.{KEY}": "1"}
DECLINED = {f"declined.{KEY}": "1"}
AGAIN = "Type it again: secrets are not kept."


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


@pytest.fixture
def asking(template: RunTemplate) -> RunTemplate:
    """A template whose trainer has a secret with a default that only its code knows."""
    describe(template.deployment, {})
    return template


def describe(deployment: PipelineDeployment, keywords: dict[str, Any], *, is_required: bool = False) -> None:
    trainer = deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    parameters = trainer["properties"]["parameters"]
    parameters["properties"]["key"] = {"type": "string", "format": "password", "writeOnly": True, **keywords}
    parameters["required"] = ["key"] if is_required else []
    deployment.save()


def send(pages: Client, template: RunTemplate, **values: str) -> Any:
    return pages.post(template.get_absolute_url(), values)


def run_with_key(template: RunTemplate, user: User) -> PipelineRun:
    return launch(template, user, {"steps": {"trainer": {"parameters": {"key": "hush"}}}})


def key_of(run: PipelineRun) -> Any:
    return run.opened_parameters["trainer"].get("key", "the default")


def test_a_refused_form_says_that_its_secret_is_to_be_typed_again(pages: Client, asking: RunTemplate) -> None:
    page = send(pages, asking, **{RATE: "2", KEY: "hush"}).text
    assert AGAIN in page
    assert "hush" not in page
    assert f'name="expected.{KEY}"' in page
    assert "Use the default instead" in page


def test_a_secret_that_was_typed_before_is_not_replaced_by_the_default(
    pages: Client, asking: RunTemplate
) -> None:
    page = send(pages, asking, **{RATE: "0.5", KEY: ""}, **EXPECTED)
    assert page.status_code == 422
    assert f"{AGAIN} Or tick “Use the default instead”." in page.text
    assert f'name="expected.{KEY}"' in page.text
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(
    ("typed", "key"), [({KEY: "", **DECLINED}, "the default"), ({KEY: "new"}, "new"), ({}, None)]
)
def test_it_is_typed_again_or_the_default_is_asked_for(
    pages: Client, asking: RunTemplate, typed: dict[str, str], key: str | None
) -> None:
    send(pages, asking, **{RATE: "0.5"}, **EXPECTED, **typed)
    assert [key_of(run) for run in PipelineRun.objects.all()] == ([key] if key else [])


def test_a_form_that_starts_from_a_run_asks_for_its_secret_again(
    pages: Client, asking: RunTemplate, alice: User
) -> None:
    address = asking.get_absolute_url()
    assert AGAIN not in pages.get(address).text
    assert AGAIN not in pages.get(address, {"from": launch(asking, alice).id}).text
    page = pages.get(address, {"from": run_with_key(asking, alice).id}).text
    assert AGAIN in page
    assert "hush" not in page
    assert f'name="expected.{KEY}"' in page


def test_without_a_default_there_is_nothing_to_tick(pages: Client, asking: RunTemplate) -> None:
    describe(asking.deployment, {}, is_required=True)
    page = send(pages, asking, **{RATE: "0.5", KEY: ""}, **EXPECTED, **DECLINED)
    assert f"{AGAIN}<" in page.text
    assert f'name="declined.{KEY}"' not in page.text
    assert not PipelineRun.objects.exists()


def test_a_refused_repair_offers_to_keep_the_secret_of_the_run(
    pages: Client, asking: RunTemplate, alice: User
) -> None:
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    run = finish(run_with_key(asking, alice), worker, "trainer")
    address = reverse("run-repair", args=[run.id])
    page = pages.get(address).text
    assert "Leave empty to keep the one that the run had" in page
    assert AGAIN not in page
    refused = pages.post(address, {"from": "", RATE: "2", KEY: "new"}).text
    assert AGAIN in refused
    assert pages.post(address, {"from": "", RATE: "0.5", KEY: "", **EXPECTED}).status_code == 422
    pages.post(address, {"from": "", RATE: "0.5", KEY: "", **EXPECTED, **DECLINED})
    assert key_of(run.repairs.get()) == "hush"


@pytest.mark.parametrize(("value", "shown"), [("hush", "••••••"), (None, "not set")])
def test_a_run_says_whether_a_secret_was_set(
    pages: Client, asking: RunTemplate, alice: User, value: str | None, shown: str
) -> None:
    describe(asking.deployment, {"type": ["string", "null"], "default": None})
    run = launch(asking, alice, {"steps": {"trainer": {"parameters": {"key": value}}}})
    page = pages.get(run.get_absolute_url()).text
    assert f'<dt>Key</dt><dd class="value">{shown}</dd>' in page


def test_what_rest_answers_has_a_stand_in(asking: RunTemplate, alice: User, rest: Client) -> None:
    run = run_with_key(asking, alice)
    given = opened(run.configuration, run.pk)
    schedule = create_schedule(
        actor=alice, template=asking, name="nightly", cron="0 3 * * *", configuration=given
    )
    step = run.steps.get(name="trainer")
    for route in (
        f"runs/{run.id}",
        "runs",
        f"steps/{step.id}",
        f"runs/{run.id}/steps",
        f"schedules/{schedule.id}",
    ):
        answered = rest.get(f"/api/v1/{route}?hydrate=true").text
        assert "hush" not in answered
        assert "••••••" in answered
    assert (key_of(run), opened(schedule.configuration, schedule.pk)) == ("hush", given)  # what they run with


def test_a_former_secret_is_shown_nowhere_once_it_is_none(
    pages: Client, asking: RunTemplate, alice: User, stacks: dict[str, Stack]
) -> None:
    """The type of the key has changed: what was typed as a secret must not stand in the field for a plain text."""
    run = run_with_key(asking, alice)
    good = run_with_key(asking, alice)
    PipelineRun.objects.filter(pk=run.pk).update(status="failed")
    PipelineRun.objects.filter(pk=good.pk).update(status="completed")
    open_now = freeze("training.training_pipeline", alice, stacks["celery"])
    describe(open_now, {"format": "text", "writeOnly": False})
    create_run_template(actor=alice, name=asking.name, deployment=open_now, update=True)
    for address in (
        f"{asking.get_absolute_url()}?from={run.pk}",
        f"{asking.get_absolute_url()}?view=yaml&from={run.pk}",
        f"{asking.get_absolute_url()}?preset=last-good",
        f"{run.get_absolute_url()}repair?version=newest",
        f"{run.get_absolute_url()}copy",
    ):
        page = pages.get(address, follow=True)
        assert page.status_code == 200
        assert "hush" not in page.text


def test_what_cannot_be_shown_of_a_secret_is_not_quoted(
    pages: Client, asking: RunTemplate, alice: User
) -> None:
    run = run_with_key(asking, alice)
    trainer = asking.deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    secret = {"type": "string", "format": "password", "writeOnly": True}
    login = {"type": "object", "properties": {"token": secret}}
    trainer["properties"]["parameters"]["properties"]["key"] = login
    asking.deployment.save()
    page = pages.get(f"{asking.get_absolute_url()}?from={run.pk}").text
    assert "“Key” (Trainer) cannot be what it was, so it starts from its default." in page
    assert "hush" not in page


@pytest.mark.parametrize(
    "keywords", [{"type": "integer"}, {"type": "object"}, {"type": "array", "items": {"type": "integer"}}]
)
def test_a_secret_of_any_type_is_sealed_and_its_run_can_be_looked_at(
    pages: Client, asking: RunTemplate, alice: User, rest: Client, keywords: dict[str, Any]
) -> None:
    describe(asking.deployment, keywords)
    key: Any = {"integer": 4711, "object": {"a": 4711}, "array": [4711]}[keywords["type"]]
    run = launch(asking, alice, {"steps": {"trainer": {"parameters": {"key": key}}}})
    run.refresh_from_db()
    assert "4711" not in str(
        [run.configuration, run.resolved_configuration, *run.steps.values_list("parameters")]
    )
    assert key_of(run) == key
    PipelineRun.objects.update(status="failed")
    for address in (
        run.get_absolute_url(),
        f"{asking.get_absolute_url()}?from={run.pk}",
        f"{asking.get_absolute_url()}?view=yaml&from={run.pk}",
        reverse("run-repair", args=[run.pk]),
        f"{run.get_absolute_url()}copy",
    ):
        page = pages.get(address, follow=True)
        assert (page.status_code, "4711" in page.text, "zenweb-sealed" in page.text) == (200, False, False), (
            address
        )
    assert "zenweb-sealed" not in rest.get(f"/api/v1/runs/{run.pk}").text
