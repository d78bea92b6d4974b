"""Running a run again: the same values to edit, what differs from it, and the value that a failed step blames."""

import json
from typing import Any

import pytest
from django.test import Client

from runs_app.drafts import HIDDEN
from runs_app.models import PipelineRun, StepRun
from templates_app.models import RunTemplate
from tests.factories import launch
from tests.runs.test_presets_api import newer_version
from tests.web.test_links import KEY, RATE, give, values
from tests.web.test_yaml import inputs_of
from zenweb.accounts.models import User

HTMX = {"HX-Request": "true"}
SAME = "The same values. What you change is marked."


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    return launch(template, alice, values(learning_rate=0.75, model_type="rf"))


def again(run: PipelineRun) -> str:
    return f"{run.template.get_absolute_url()}?from={run.id}"


def fail(run: PipelineRun, parameter: str, message: str = "too large for this data") -> None:
    exception = {"type": "ParameterError", "message": f"{parameter}: {message}", "traceback": ""}
    exception |= {"parameter": parameter} if parameter else {}
    StepRun.objects.filter(run=run, name="trainer").update(status="failed", exception=exception)
    PipelineRun.objects.filter(pk=run.pk).update(status="failed")


def drop(run: PipelineRun, **parameters: Any) -> None:
    """The run had these parameters too, and the newest version of its template does not."""
    ran = {"learning_rate": 0.75, **parameters}
    StepRun.objects.filter(run=run, name="trainer").update(parameters=ran)
    PipelineRun.objects.filter(pk=run.pk).update(resolved_configuration=values(**ran))
    newer_version(run.template)


def test_the_form_starts_from_the_run_and_has_nothing_to_compare_yet(pages: Client, run: PipelineRun) -> None:
    page = pages.get(again(run))
    assert f'name="{RATE}" value="0.75"' in page.text
    assert page.context["differences"] == []
    assert SAME in page.text


def test_what_is_changed_is_listed_with_what_it_was(pages: Client, run: PipelineRun) -> None:
    typed = {RATE: "0.5", "steps.trainer.parameters.model_type": "rf", "do": "compare"}
    part = pages.post(again(run), typed, headers=HTMX)
    [difference] = part.context["differences"]
    assert (difference.title, difference.before, difference.now) == ("Learning rate", 0.75, 0.5)
    assert f'data-changed="{RATE}"' in part.text
    assert "<html" not in part.text
    assert PipelineRun.objects.count() == 1


def test_a_link_over_a_run_is_a_difference(pages: Client, run: PipelineRun) -> None:
    [difference] = pages.get(f"{again(run)}&{RATE}=0.25").context["differences"]
    assert difference.now == 0.25


def test_a_refused_form_goes_on_comparing(pages: Client, run: PipelineRun) -> None:
    page = pages.post(again(run), {RATE: "2", "steps.trainer.parameters.model_type": "rf"})
    assert page.status_code == 422
    assert [difference.now for difference in page.context["differences"]] == [2.0]


def test_a_form_without_a_run_compares_nothing(pages: Client, template: RunTemplate) -> None:
    assert "Compared with" not in pages.get(template.get_absolute_url()).text


def test_a_value_that_the_newest_version_has_no_field_for_is_told(
    pages: Client, run: PipelineRun, template: RunTemplate
) -> None:
    drop(run, depth=3)
    page = pages.get(again(run))
    assert "version 2 has no field for: “Depth” (Trainer)." in page.text
    assert pages.post(again(run), inputs_of(page)).status_code == 302
    assert PipelineRun.objects.get(original=None, index=2).parameters["trainer"]["learning_rate"] == 0.75


def test_a_secret_that_the_newest_version_has_no_field_for_is_not_in_the_page(
    pages: Client, run: PipelineRun
) -> None:
    drop(run, token="hush")
    page = pages.get(again(run))
    assert "“Token” (Trainer)" in page.text
    assert "hush" not in page.text
    assert "hush" not in pages.get(f"{again(run)}&view=yaml").text


def test_a_step_that_the_newest_version_does_not_have_is_left_out(pages: Client, run: PipelineRun) -> None:
    ran = {"steps": {"gone": {"parameters": {"token": "hush"}}}}
    PipelineRun.objects.filter(pk=run.pk).update(resolved_configuration=ran)
    page = pages.get(again(run))
    assert "“Token” (Gone)" in page.text
    assert "hush" not in page.text


def test_a_secret_beside_the_form_is_not_in_the_page(pages: Client, template: RunTemplate) -> None:
    """Whoever sends one there does not get it back, nor does whoever looks over their shoulder."""
    give(template, "key", {"type": "string", "format": "password", "writeOnly": True})
    rest = {"tags": ["a"], **values(key="hush")}
    page = pages.post(template.get_absolute_url(), {RATE: "2", "rest": json.dumps(rest)})
    assert page.status_code == 422
    assert json.loads(inputs_of(page)["rest"]) == {"tags": ["a"], **values()}
    assert "hush" not in page.text


def test_a_secret_of_the_run_is_neither_shown_nor_called_a_difference(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    give(template, "key", {"type": "string", "format": "password", "writeOnly": True})
    run = launch(template, alice, values(learning_rate=0.75, key="hush"))
    page = pages.get(again(run))
    assert "hush" not in page.text
    assert "Type it again" in page.text
    changed = pages.post(again(run), {RATE: "0.75", KEY: "other", "do": "compare"}, headers=HTMX)
    assert "other" not in changed.text
    assert "hush" not in changed.text
    assert [difference.field_name for difference in changed.context["differences"]] == [KEY]


def test_a_secret_inside_of_a_value_is_hidden_there_and_on_the_page_of_the_run(
    pages: Client, template: RunTemplate, alice: User
) -> None:
    secret = {"type": "string", "format": "password", "writeOnly": True}
    login = {"type": "object", "properties": {"user": {"type": "string"}, "password": secret}}
    give(template, "login", {**login, "default": {"user": "ada", "password": "hush-0"}})
    give(template, "tokens", {"type": "array", "items": secret, "default": []})
    ran = {"login": {"user": "bob", "password": "hush-1"}, "tokens": ["hush-2"]}
    run = launch(template, alice, values(**ran))
    field = "steps.trainer.parameters.login"
    typed = {RATE: "0.1", f"{field}.~": "1", f"{field}.user": "eve", f"{field}.password": "hush-3"}
    part = pages.post(again(run), typed | {"do": "compare"}, headers=HTMX)
    [login_now] = [one for one in part.context["differences"] if one.field_name == field]
    assert login_now.before == {"user": "bob", "password": HIDDEN}
    assert login_now.now == {"user": "eve", "password": HIDDEN}
    by_default = launch(template, alice)
    pages_to_see = [part, pages.get(again(run)), pages.get(again(by_default))]
    pages_to_see += [pages.get(one.get_absolute_url()) for one in (run, by_default)]
    for page in pages_to_see:
        assert "hush" not in page.text
    assert "<dt>User</dt><dd>bob</dd>" in pages_to_see[-2].text


def test_the_value_that_a_step_blames_is_marked_at_its_field(pages: Client, run: PipelineRun) -> None:
    fail(run, "learning_rate")
    page = pages.get(again(run))
    assert page.status_code == 200
    assert f"What run {run.index} could not work with" in page.text
    errors = page.context["form"].errors
    assert errors == {RATE: [f"Run {run.index} failed with this value: too large for this data."]}
    assert "is-invalid" in page.text


@pytest.mark.parametrize("parameter", ["", "no_such", "learning_rate.depth", "../x"])
def test_an_error_that_names_no_field_marks_none(pages: Client, run: PipelineRun, parameter: str) -> None:
    fail(run, parameter)
    page = pages.get(again(run))
    assert page.status_code == 200
    assert not page.context["form"].errors


def test_a_run_that_did_not_fail_blames_nothing(pages: Client, run: PipelineRun) -> None:
    assert "could not work with" not in pages.get(again(run)).text


def test_a_blamed_value_can_be_sent_all_the_same(pages: Client, run: PipelineRun) -> None:
    """Perhaps the data have changed: it is for a person to decide."""
    fail(run, "learning_rate")
    typed: dict[str, Any] = {RATE: "0.75", "steps.trainer.parameters.model_type": "rf"}
    assert pages.post(again(run), typed).status_code == 302
    assert PipelineRun.objects.count() == 2
