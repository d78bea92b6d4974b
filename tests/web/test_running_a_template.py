"""The page of a template: its form, what it refuses, and the run it starts."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.dispatch import WARM_UP, Doorbell
from runs_app.models import PipelineRun, StepRun
from runs_app.presets import create_preset
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from templates_app.services import create_run_template
from tests.factories import freeze, launch
from zenweb.accounts.models import User
from zenweb.enums import TriggerChannel

RATE = "steps.trainer.parameters.learning_rate"
MODEL = "steps.trainer.parameters.model_type"


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


def send(pages: Client, template: RunTemplate, values: dict[str, str]) -> Any:
    return pages.post(template.get_absolute_url(), values)


def test_the_form_shows_every_parameter_with_its_default(pages: Client, template: RunTemplate) -> None:
    page = pages.get(template.get_absolute_url()).text
    assert f'name="{RATE}" value="0.1"' in page
    assert '<option value="svm" selected>' in page
    assert "How far each step goes." in page
    assert "More than 0, at most 1" in page


def test_valid_values_start_a_run_and_lead_to_its_page(
    pages: Client, template: RunTemplate, bob: User
) -> None:
    answer = send(pages, template, {RATE: "0.5", MODEL: "rf"})
    run = PipelineRun.objects.get()
    assert answer.url == run.get_absolute_url()
    assert (run.user, run.template, run.channel) == (bob, template, TriggerChannel.PAGE)
    assert StepRun.objects.get(name="trainer").parameters == {"learning_rate": 0.5, "model_type": "rf"}


def test_wrong_values_come_back_at_their_fields_and_nothing_is_run(
    pages: Client, template: RunTemplate
) -> None:
    page = send(pages, template, {RATE: "2", "steps.evaluator.parameters.threshold": "half", MODEL: "rf"})
    assert page.status_code == 422
    assert f'name="{RATE}" value="2"' in page.text
    assert 'value="half"' in page.text
    assert '<option value="rf" selected>' in page.text
    assert "This must be at most 1." in page.text
    assert "Enter a number." in page.text
    assert not PipelineRun.objects.exists()


def test_the_same_form_sent_twice_is_one_run(pages: Client, template: RunTemplate) -> None:
    values = {RATE: "0.5", "submit_token": "0b5c7a1e-0000-4000-8000-000000000001"}
    first, second = send(pages, template, values), send(pages, template, values)
    assert first.url == second.url
    assert "had already started this run" in pages.get(second.url).text


def test_the_same_form_with_other_values_is_another_run(pages: Client, template: RunTemplate) -> None:
    """Somebody went back in their browser, changed a value and ran it again."""
    token = {"submit_token": "0b5c7a1e-0000-4000-8000-000000000001"}
    send(pages, template, {RATE: "0.5", **token})
    send(pages, template, {RATE: "0.6", **token})
    assert PipelineRun.objects.count() == 2


def test_a_template_that_changed_meanwhile_is_not_run_unseen(
    pages: Client, template: RunTemplate, deployment: PipelineDeployment
) -> None:
    page = send(pages, template, {RATE: "0.5", "version": "7"})
    assert page.status_code == 422
    assert "has become version 1" in page.text
    assert 'name="version" value="1"' in page.text


def test_what_a_new_version_changed_is_said_in_words(
    pages: Client, template: RunTemplate, stacks: dict[str, Stack], alice: User
) -> None:
    older = template.deployment
    trainer = older.config_schema["properties"]["steps"]["properties"]["trainer"]["properties"]["parameters"]
    trainer["properties"]["learning_rate"] |= {"default": 0.4, "maximum": 0.9}
    trainer["properties"]["depth"] = {"type": "integer", "default": 3}
    del trainer["properties"]["model_type"]
    older.fingerprint = "older"
    older.save()
    newer = freeze("training.training_pipeline", alice, stacks["celery"])
    create_run_template(actor=alice, name=template.name, deployment=newer, update=True)
    page = send(pages, template, {RATE: "0.4", "version": "1"}).text
    assert "This template has become version 2 while you filled in its form" in page
    assert "“Learning rate” (Trainer) starts from 0.1 now, not from 0.4." in page
    assert "“Learning rate” (Trainer) may be something else now: more than 0, at most 1." in page
    assert "“Model type” (Trainer) is new." in page
    assert "“Depth” (Trainer) is no longer asked for." in page
    assert f'name="{RATE}" value="0.4"' in page
    assert "thing to correct" not in page
    assert not PipelineRun.objects.exists()


def test_a_form_can_start_from_the_values_of_an_earlier_run(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    run = launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.75}}}})
    assert f'name="{RATE}" value="0.75"' in pages.get(template.get_absolute_url(), {"from": run.id}).text
    assert f'name="{RATE}" value="0.1"' in pages.get(template.get_absolute_url(), {"from": "nonsense"}).text


def test_a_template_that_is_switched_off_says_so_and_refuses(pages: Client, template: RunTemplate) -> None:
    RunTemplate.objects.update(is_enabled=False)
    assert "This template is switched off" in pages.get(template.get_absolute_url()).text
    assert send(pages, template, {RATE: "0.5"}).status_code == 422
    assert not PipelineRun.objects.exists()


def test_a_stranger_cannot_run_a_template(client: Client, template: RunTemplate) -> None:
    answer = client.post(template.get_absolute_url(), {RATE: "0.1"})
    assert answer.url.startswith(reverse("login"))
    assert not PipelineRun.objects.exists()


def test_a_form_from_elsewhere_is_refused(template: RunTemplate, bob: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(bob)
    page = browser.post(template.get_absolute_url(), {RATE: "0.1"})
    assert page.status_code == 403
    assert "too old" in page.text


def test_a_template_that_does_not_exist_is_not_found(pages: Client) -> None:
    assert (
        pages.get(reverse("run-template", args=["0b5c7a1e-0000-4000-8000-000000000001"])).status_code == 404
    )


def test_the_page_of_a_run_names_the_form_that_made_it_to_who_sent_it(
    pages: Client, client: Client, template: RunTemplate, alice: User
) -> None:
    """What a browser keeps of a form may go then, and not because some run was looked at."""
    made = send(pages, template, {RATE: "0.5", MODEL: "rf", "submit_token": "of-this-form"}).url
    other = send(pages, template, {RATE: "0.6", MODEL: "rf", "submit_token": "of-another"}).url
    assert 'data-made-by="of-this-form"' in pages.get(made).text
    assert "of-this-form" not in pages.get(other).text
    client.force_login(alice)
    assert "of-this-form" not in client.get(made).text


@pytest.mark.parametrize("verb", ["check", "show"])
def test_a_check_while_one_types_answers_the_form_alone(
    pages: Client, template: RunTemplate, bob: User, verb: str, django_assert_num_queries: Any
) -> None:
    """Session, user, what he is (two), template and version, roles on it: nothing for what stands beside the form."""
    create_preset(actor=bob, template=template, name="nightly")
    typed = {RATE: "2", MODEL: "rf", "do": verb}
    with django_assert_num_queries(6):
        part = pages.post(template.get_absolute_url(), typed, headers={"X-Requested-With": "fetch"})
    assert part.status_code == 200
    assert 'id="form-values"' in part.text
    assert f'name="{RATE}" value="2"' in part.text
    assert ("This must be at most 1." in part.text) == (verb == "check")
    assert "<html" not in part.text
    assert "nightly" not in part.text
    assert "<html" in send(pages, template, typed).text


def test_workers_are_told_to_get_ready_when_the_page_is_opened_and_not_while_one_types(
    pages: Client, template: RunTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[tuple[str, str]] = []
    monkeypatch.setattr(Doorbell, "ring", lambda _, task, argument, queues: rings.append((task, argument)))
    pages.get(template.get_absolute_url())
    assert rings == [(WARM_UP, str(template.version.deployment_id))]
    pages.post(template.get_absolute_url(), {RATE: "2", "do": "check"}, headers={"X-Requested-With": "fetch"})
    send(pages, template, {RATE: "2", "do": "show"})
    send(pages, template, {RATE: "2"})
    assert len(rings) == 1
