"""The pipeline's own parameters in the form: a section of their own, and below it the steps that they make."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun, Worker
from templates_app.models import RunTemplate, Stack
from tests.composing import compile_next, compiled, own
from tests.factories import freeze, make_template
from zenweb.accounts.models import User

SCRIPT = {"X-Requested-With": "fetch"}


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("composed.composed_pipeline", alice, stacks["celery"]), alice, "composed")


@pytest.fixture
def page(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def inputs(html: str) -> dict[str, str]:
    """What a browser would send of the form's inputs and selects."""
    found = {}
    for tag in re.findall(r"<input[^>]*>", html):
        facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        is_off = facts.get("type") in {"radio", "checkbox"} and " checked" not in tag
        if "name" in facts and not is_off and facts.get("type") != "submit":
            found[facts["name"]] = facts.get("value", "on")
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)"[^>]*selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


def shown(page: Client, template: RunTemplate, query: str = "") -> str:
    return page.get(f"{template.get_absolute_url()}{query}").content.decode()


def looked(page: Client, template: RunTemplate, values: dict[str, str]) -> str:
    answer = page.post(template.get_absolute_url(), {**values, "do": "show"}, headers=SCRIPT)
    return answer.content.decode()


def steps_in(html: str) -> list[str]:
    return re.findall(r'<fieldset class="section" id="step-(\w+)"', html)


def test_they_stand_in_a_section_of_their_own_with_their_help(page: Client, template: RunTemplate) -> None:
    html = shown(page, template)
    assert html.index('id="pipeline"') < html.index('id="composition"') < html.index('id="step-train"')
    assert 'name="parameters.n_models"' in html
    assert "How many are trained." in html


def test_the_editor_starts_with_an_example_of_them(page: Client, template: RunTemplate) -> None:
    html = shown(page, template, "?view=yaml")
    assert html.index("# parameters:\n#   n_models: 2") < html.index("# steps:\n#   train:")


def test_with_other_values_the_form_has_other_steps_once_they_are_known(
    page: Client,
    template: RunTemplate,
    hand: Worker,
) -> None:
    values = inputs(shown(page, template)) | {"parameters.n_models": "3", "parameters.rate": "2"}
    waits = looked(page, template, values)
    assert "data-composing" in waits
    assert steps_in(waits) == ["train", "train_2", "report"]
    compile_next(hand)
    fresh = looked(page, template, values)
    assert "data-composing" not in fresh
    assert steps_in(fresh) == ["train", "train_2", "train_3", "report"]
    assert inputs(fresh)["steps.train_3.parameters.rate"] == "2.0"
    assert inputs(fresh)["parameters.n_models"] == "3"


def test_what_was_filled_in_below_stays_and_what_was_not_follows(
    page: Client,
    template: RunTemplate,
    alice: User,
    hand: Worker,
) -> None:
    compiled(template, alice, hand, own(n_models=1, rate=2))
    changed = {"parameters.n_models": "1", "parameters.rate": "2", "steps.train.parameters.kind": "rf"}
    fresh = inputs(looked(page, template, inputs(shown(page, template)) | changed))
    assert fresh["steps.train.parameters.kind"] == "rf"
    assert fresh["steps.train.parameters.rate"] == "2.0"
    assert not any(name.startswith("steps.train_2") for name in fresh)


def test_pressing_run_at_once_is_as_good(page: Client, template: RunTemplate, hand: Worker) -> None:
    values = inputs(shown(page, template)) | {"parameters.n_models": "1", "parameters.rate": "2"}
    answer = page.post(template.get_absolute_url(), {**values, "do": "run"})
    assert answer.status_code == 302
    compile_next(hand)
    run = PipelineRun.objects.get()
    assert run.parameters["train"] == {"seed": 0, "rate": 2.0, "kind": "svm"}
    assert "Pipeline" in page.get(run.get_absolute_url()).content.decode()


def test_back_at_what_was_frozen_the_form_is_as_it_was(
    page: Client,
    template: RunTemplate,
    alice: User,
    hand: Worker,
) -> None:
    compiled(template, alice, hand, own(n_models=1))
    first = inputs(shown(page, template))
    small = inputs(looked(page, template, first | {"parameters.n_models": "1"}))
    again = inputs(looked(page, template, first | small | {"parameters.n_models": "2"}))
    assert "steps.train_2.parameters.rate" not in small
    assert again == {name: first[name] for name in again}


def test_a_run_is_run_again_with_its_own_steps(
    page: Client,
    template: RunTemplate,
    alice: User,
    hand: Worker,
) -> None:
    asked: Any = own(n_models=3) | {"steps": {"train_3": {"parameters": {"kind": "rf"}}}}
    run = compiled(template, alice, hand, asked)
    html = shown(page, template, f"?from={run.pk}")
    assert steps_in(html) == ["train", "train_2", "train_3", "report"]
    assert inputs(html)["steps.train_3.parameters.kind"] == "rf"


def test_a_run_that_could_not_start_is_corrected_in_the_form(
    page: Client,
    alice: User,
    stacks: dict[str, Stack],
    hand: Worker,
) -> None:
    picky = make_template(freeze("composed.picky_pipeline", alice, stacks["celery"]), alice, "picky")
    run = compiled(picky, alice, hand, own(number=2))
    html = shown(page, picky, f"?from={run.pk}")
    assert inputs(html)["parameters.number"] == "2"
    assert "could not start with this value: an odd number is wanted." in html


def test_what_was_wrong_is_told_in_the_words_of_the_form(
    page: Client,
    template: RunTemplate,
    alice: User,
    hand: Worker,
) -> None:
    wrong = own(n_models=3) | {"steps": {"train_3": {"parameters": {"kind": "fr"}}}}
    run = compiled(template, alice, hand, wrong)
    assert "/steps/train_3/parameters/kind: " in run.status_reason  # as programs read it
    html = page.get(run.get_absolute_url()).content.decode()
    assert html.count("“Kind” (Train 3): ") == 2  # what it failed of, and what happened
    assert "/parameters/" not in html


def test_copies_of_a_run_have_them(
    page: Client,
    template: RunTemplate,
    alice: User,
    hand: Worker,
) -> None:
    run = compiled(template, alice, hand, own(n_models=1))
    html = page.get(reverse("run-copy", args=[run.pk])).content.decode()
    assert "parameters.n_models=1" in html
    assert "steps.train" not in html


def test_a_text_that_is_no_value_is_told_at_its_field(page: Client, template: RunTemplate) -> None:
    values = inputs(shown(page, template)) | {"parameters.n_models": "99"}
    answer = page.post(template.get_absolute_url(), {**values, "do": "run"})
    assert answer.status_code == 422
    assert 'id="id_parameters.n_models_error"' in answer.content.decode()
